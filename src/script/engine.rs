//! QuickJS with its bounds, and the loop that runs a script until it waits, and lets it go on.

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::time::Instant;

use rquickjs::context::EvalOptions;
use rquickjs::convert::List;
use rquickjs::promise::PromiseState;
use rquickjs::{Context, Ctx, Error, Function, Promise, Runtime, Value};

use crate::clock;
use crate::limits;
use crate::script::frames::Order;
use crate::script::worker::Pipe;

/// What a script finds before it begins: a function of ours that makes it, of `call` and `log`.
const PRELUDE: &str = include_str!("prelude.js");

/// What a script comes to: what it returns, as JSON, or why it failed.
pub(super) type Ended = Result<Option<String>, String>;

/// Runs a script to its end, or to `until`.
pub(super) fn run(source: &str, pipe: Pipe, until: Instant) -> (Rc<RefCell<Pipe>>, Ended) {
    let pipe = Rc::new(RefCell::new(pipe));
    let ended = begin(source, &pipe, until);
    (pipe, ended)
}

fn begin(source: &str, pipe: &Rc<RefCell<Pipe>>, until: Instant) -> Ended {
    let no_engine = |_why: Error| "no engine could be made for the script".to_owned();
    // Never freed: the process ends with the script, and taking a large heap apart only takes time.
    let runtime = ManuallyDrop::new(Runtime::new().map_err(no_engine)?);
    runtime.set_memory_limit(limits::CODE_MEMORY_BYTES_MAX);
    runtime.set_max_stack_size(limits::CODE_STACK_BYTES_MAX);
    let late = Rc::new(Cell::new(false));
    let rung = Rc::clone(&late);
    runtime.set_interrupt_handler(Some(Box::new(move || {
        rung.set(rung.get() || clock::now() >= until);
        rung.get()
    })));
    let context = ManuallyDrop::new(Context::full(&runtime).map_err(no_engine)?);
    context.with(|ctx| {
        let ended = Script::begin(&ctx, source, pipe).and_then(|script| script.drive(until, &late));
        if late.get() { Err(too_late()) } else { ended }
    })
}

fn too_late() -> String {
    format!("the script ran longer than {} s", limits::CODE_TIME.as_secs())
}

/// A script under way.
struct Script<'js> {
    ctx: Ctx<'js>,
    /// The promise of what it returns.
    main: Promise<'js>,
    /// Lets a call end: its number, whether it has given something, and that or why not.
    settle: Function<'js>,
    described: Function<'js>,
    pipe: Rc<RefCell<Pipe>>,
    /// Calls that have not ended.
    waiting: Rc<Cell<u32>>,
}

impl<'js> Script<'js> {
    fn begin(ctx: &Ctx<'js>, source: &str, pipe: &Rc<RefCell<Pipe>>) -> Result<Self, String> {
        if source.contains('\0') {
            return Err("a script has no NUL in it".to_owned());
        }
        let waiting = Rc::new(Cell::new(0));
        let (settle, described) = prelude(ctx, pipe, &waiting)
            .map_err(|_why| "what a script needs could not be made".to_owned())?;
        // On one line with the beginning, so that lines have the numbers that their writer knows.
        let wrapped = format!("(async () => {{ {source}\n}})()");
        let main =
            ctx.eval_with_options(wrapped, named("script")).map_err(|_thrown| told(ctx, &described))?;
        let (ctx, pipe) = (ctx.clone(), Rc::clone(pipe));
        Ok(Self { ctx, main, settle, described, pipe, waiting })
    }

    /// Lets it run until it has ended.
    fn drive(self, until: Instant, late: &Cell<bool>) -> Ended {
        loop {
            while self.ctx.execute_pending_job() {
                late.set(late.get() || clock::now() >= until);
                if late.get() {
                    return Err(too_late());
                }
                // What a job has thrown has reached whoever waits for it.
                if self.ctx.has_exception() {
                    drop(self.ctx.catch());
                }
            }
            match self.main.state() {
                PromiseState::Resolved => return self.returned(),
                PromiseState::Rejected => {
                    // It is thrown again, to be described.
                    drop(self.main.result::<Value<'_>>());
                    return Err(told(&self.ctx, &self.described));
                }
                PromiseState::Pending => {}
            }
            if self.waiting.get() == 0 {
                let why = "the script waits for something that never comes: only calls of tools end by \
                           themselves, there are no timers";
                return Err(why.to_owned());
            }
            let order = self.pipe.borrow_mut().hear();
            let order = order.map_err(|_gone| "nobody answers the script's calls any more".to_owned())?;
            self.take(order)?;
        }
    }

    /// Lets a call end.
    fn take(&self, order: Order) -> Result<(), String> {
        let (id, given, words) = match order {
            Order::Given { id, value } => (id, true, value),
            Order::Refused { id, why } => (id, false, why),
            Order::Run { .. } => return Err("one script is enough".to_owned()),
        };
        self.waiting.set(self.waiting.get().saturating_sub(1));
        let settled: rquickjs::Result<()> = self.settle.call((id, given, words));
        settled.map_err(|_thrown| told(&self.ctx, &self.described))
    }

    /// What it has returned.
    fn returned(&self) -> Ended {
        let Some(Ok(value)) = self.main.result::<Value<'js>>() else {
            return Err(told(&self.ctx, &self.described));
        };
        if value.is_undefined() {
            return Ok(None);
        }
        let json =
            self.ctx.json_stringify(value).and_then(|json| json.map(|json| json.to_string()).transpose());
        json.map_err(|_thrown| format!("what is returned is no JSON: {}", told(&self.ctx, &self.described)))
    }
}

/// The name that stands before the lines of a stack.
fn named(file: &str) -> EvalOptions {
    let mut options = EvalOptions::default();
    options.filename = Some(file.to_owned());
    options
}

/// Makes what a script finds; gives what lets calls end, and what describes what was thrown.
fn prelude<'js>(
    ctx: &Ctx<'js>,
    pipe: &Rc<RefCell<Pipe>>,
    waiting: &Rc<Cell<u32>>,
) -> rquickjs::Result<(Function<'js>, Function<'js>)> {
    let (calls, under_way) = (Rc::clone(pipe), Rc::clone(waiting));
    let call = Function::new(ctx.clone(), move |id: u32, name: String, arguments: String| {
        match calls.borrow_mut().call(id, name, arguments) {
            Ok(()) => {
                under_way.set(under_way.get() + 1);
                String::new()
            }
            Err(why) => why,
        }
    })?;
    let console = Rc::clone(pipe);
    let log = Function::new(ctx.clone(), move |text: String| console.borrow_mut().log(&text))?;
    let made: Function<'js> = ctx.eval_with_options(PRELUDE, named("prelude"))?;
    let List((settle, described)) = made.call((call, log))?;
    Ok((settle, described))
}

const OUT_OF_MEMORY: &str = "out of memory";

/// What was thrown last, in words.
fn told<'js>(ctx: &Ctx<'js>, described: &Function<'js>) -> String {
    let thrown = ctx.catch();
    let words: rquickjs::Result<String> = if thrown.is_null() {
        // Where there is no room for an error, none is made.
        Ok(OUT_OF_MEMORY.to_owned())
    } else {
        described.call((thrown,))
    };
    let words = words.unwrap_or_else(|_thrown| {
        drop(ctx.catch());
        "the script failed, and so did the description of why".to_owned()
    });
    if words == OUT_OF_MEMORY || words.starts_with("InternalError: out of memory") {
        let megabytes = limits::CODE_MEMORY_BYTES_MAX / (1024 * 1024);
        return format!("the script wants more than {megabytes} MB of memory");
    }
    words
}
