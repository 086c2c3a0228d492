//! How we open TLS towards a provider: what is offered, and that a session is taken up again.

use crate::client::{messages, once};
use crate::gateway::{Folder, Gateway, KEY, config, for_each_engine, tollgate};
use crate::peer::speaks_tls::{Opened, TlsPeer};

#[test]
fn sessions_are_resumed_and_only_http_1_1_is_offered() {
    for_each_engine(|engine| {
        for version in rustls::ALL_VERSIONS {
            let upstream = TlsPeer::with_versions("localhost", "{}", &[version]);
            let folder = Folder::new();
            folder.write("ca.pem", upstream.certificate());
            let url = format!("https://localhost:{}", upstream.port());
            folder.write("tollgate.yaml", &config(engine, &url, "ca_file: ca.pem"));
            let gateway = Gateway::run(&mut tollgate(folder.path()), folder);
            for _ in 0..3 {
                let reply = once(gateway.addr(), &messages(KEY, "claude-any", true));
                assert_eq!(reply.head.status, 200, "{version:?}: {reply:?}");
            }
            let opened = |resumed| Opened {
                server_name: Some("localhost".to_owned()),
                alpn: vec!["http/1.1".to_owned()],
                resumed,
            };
            assert_eq!(upstream.opened(), [opened(false), opened(true), opened(true)], "{version:?}");
        }
    });
}
