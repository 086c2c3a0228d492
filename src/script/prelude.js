(function (call, log) {
  "use strict";
  const { parse, stringify } = JSON;
  const text = String;
  const Failure = Error;
  const whole = (words) => text(words).toWellFormed();
  // What scripts change of the language reaches only themselves: no methods are needed here.
  const waiting = Object.create(null);
  const nothing = Object.freeze(Object.create(null));
  let last = 0;

  const settle = (id, given, words) => {
    const call = waiting[id];
    delete waiting[id];
    try {
      if (!given) {
        throw new Failure(words);
      }
      call.resolve(parse(words));
    } catch (why) {
      call.reject(why);
    }
  };

  const start = (name, args) => new Promise((resolve, reject) => {
    const json = args === undefined ? "{}" : stringify(args);
    if (typeof json !== "string" || json[0] !== "{") {
      throw new TypeError(`tools.${name} takes one object with its arguments`);
    }
    last += 1;
    const why = call(last, name, json);
    if (why !== "") {
      throw new Failure(why);
    }
    waiting[last] = { resolve, reject };
  });

  const tools = new Proxy(nothing, {
    // A promise is told by its `then`: without this, `await tools` would call a tool.
    get: (_, name) => typeof name === "string" && name !== "then" ? (args) => start(name, args) : undefined,
  });

  const shown = (value) => {
    if (typeof value === "string") {
      return value;
    }
    if (value instanceof Error) {
      return `${value.name}: ${value.message}`;
    }
    try {
      return stringify(value) ?? text(value);
    } catch {
      return text(value);
    }
  };
  const print = (...values) => log(whole(values.map(shown).join(" ")));
  const console = Object.freeze({ log: print, info: print, warn: print, error: print, debug: print });

  const described = (thrown) => {
    if (thrown instanceof Error) {
      const at = /\bscript:(\d+)/.exec(text(thrown.stack));
      return whole(`${thrown.name}: ${thrown.message}${at ? ` (line ${at[1]})` : ""}`);
    }
    return whole(`thrown: ${shown(thrown)}`);
  };

  for (const [name, value] of [["tools", tools], ["console", console]]) {
    Object.defineProperty(globalThis, name, { value, enumerable: false, writable: false, configurable: false });
  }
  return [settle, described];
})
