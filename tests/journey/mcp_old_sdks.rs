//! The SDKs of all revisions among themselves, without a gateway in between: that is how well they can do.

use crate::mcp_sdk::{ALL, Sdk, assert_visited};
use crate::mcp_suite::ReferenceServer;

#[test]
fn every_sdk_understands_its_own_server() {
    for sdk in ALL {
        let server = sdk.serve();
        let seen = sdk.visit(server.url());
        assert_visited(&seen);
        assert_eq!(seen["tools"].as_array().map(Vec::len), Some(2), "{sdk:?}: {seen}");
    }
}

#[test]
fn every_sdk_that_speaks_streamable_http_understands_the_reference_server() {
    let server = ReferenceServer::start("both");
    let eras = [
        Sdk::TypeScript("2.4.0-legacy"),
        Sdk::TypeScript("2.4.0-modern"),
        Sdk::Python("2.3.0-legacy"),
        Sdk::Python("2.3.0-modern"),
    ];
    let oldest = [Sdk::TypeScript("1.0.4"), Sdk::Python("1.1.3")];
    for sdk in ALL.iter().chain(&eras).filter(|sdk| !oldest.contains(sdk)) {
        assert_visited(&sdk.visit(&server.url()));
    }
}
