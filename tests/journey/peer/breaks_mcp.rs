//! An MCP server that breaks in the way that each call names.

use std::time::Duration;

use super::speaks_mcp::{self, Era};
use super::{After, Peer};

/// What a careless server shows of its configuration.
pub(crate) const SECRET: &str = "sk-live-51HxYzAbCdEfGhIjKlMnOpQrStUv0123456789";

/// Starts the server; the argument `do` names the way: `die`, `hang`, `garbage`, `no_http`, `half_document`,
/// `big`, `big_line`, `half_event`, `page`, `denied`. Anything else is answered.
pub(crate) fn start(era: Era) -> Peer {
    speaks_mcp::start(era, |asked, exchange| {
        // Whole answers say that the connection ends with them: a kept one could die under the next call.
        let last = ("Connection", "close");
        let html = [("Content-Type", "text/html"), last];
        let json = [("Content-Type", "application/json"), last];
        match asked.argument("do") {
            "die" => {}
            "hang" => drop(exchange.wait_for_close(Duration::from_secs(30))),
            "garbage" => exchange.answer(200, &json, b"this is no JSON")?,
            "no_http" => exchange.raw(b"\x00\x01\x02 what is HTTP?\r\n\r\n")?,
            "half_document" => {
                exchange.raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")?;
                exchange.raw(b"Content-Length: 500\r\n\r\n{\"jsonrpc\":")?;
            }
            "big" => exchange.answer(200, &json, asked.response(&large()).as_bytes())?,
            "big_line" => {
                exchange.start_events()?;
                speaks_mcp::event(exchange, &asked.response(&large()))?;
            }
            "half_event" => {
                exchange.start_events()?;
                exchange.chunk(b"data: {\"jsonrpc\":\"2.0\",\"id\":1,")?;
            }
            "page" => {
                let page = format!(
                    "<!DOCTYPE html><html><head><title>Oops</title><style>p {{}}</style></head><body>\
                     <h1>Database is down</h1><p>token={SECRET} key: {SECRET}, \"{SECRET}\"</p></body></html>"
                );
                exchange.answer(500, &html, page.as_bytes())?;
            }
            "denied" => {
                let challenge = ("WWW-Authenticate", "Bearer realm=\"inner\"");
                let headers = [challenge, ("Content-Type", "text/plain"), last];
                exchange.answer(401, &headers, SECRET.as_bytes())?;
            }
            _ => return Ok(None),
        }
        Ok(Some(After::Close))
    })
}

fn large() -> String {
    format!("{{\"content\":[],\"x\":\"{}\"}}", "x".repeat(10 << 20))
}
