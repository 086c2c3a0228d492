//! What holds when nothing is written. The deadlines have their defaults in `limits`.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZero;

/// This machine only, port 4000: nobody else can call before somebody decides so.
pub(crate) const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 4000);

/// Beside the config, so that one folder holds all of a small installation.
pub(crate) const DATA_DIR: &str = "./tollgate-data";

/// The config that is read when none is named.
pub(crate) const CONFIG: &str = "tollgate.yaml";

/// The name under which developers mount our MCP endpoint.
pub(crate) const ENDPOINT_KEY: &str = "tollgate";

/// The name of the key that is made when there is none.
pub(crate) const FIRST_KEY: &str = "default";

/// Where the provider of `ANTHROPIC_API_KEY` is.
pub(crate) const ANTHROPIC_URL: &str = "https://api.anthropic.com";

/// One worker for each core that this process may use; one if the system does not say.
pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}
