//! The body of the fuzz target `config_file`: any bytes give a config or faults, never a panic.

use std::path::Path;

use crate::config::environment::Environment;
use crate::config::key_file::Stored;
use crate::config::load;
use crate::config::reader::Reader;
use crate::config::resolve::{self, Resolver};
use crate::limits;

/// How the value begins that the environment has for `SET`.
const SECRET: &str = "some-secret";

/// Reads `data` as a config file and resolves it against an empty environment. Opens no file but those
/// that the data names.
pub fn config_file(data: &[u8]) {
    let folder = Path::new("/nonexistent/tollgate");
    let environment = Environment::given(&[("SET", "some-secret-of-the-environment")], folder);
    let mut reader = Reader::new("tollgate.yaml");
    let file = load::parse(data, &mut reader);
    let fixed = resolve::fixed(&file, folder, &mut reader);
    assert!(fixed.threads >= 1);
    let resolved = Resolver::new(folder, &environment).resolve(&file, &Stored::default(), &mut reader);
    let faults = reader.into_faults();
    assert!(faults.list().len() <= limits::CONFIG_FAULTS_MAX);
    // What the file itself says may be repeated.
    let own = data.windows(SECRET.len()).any(|part| part == SECRET.as_bytes());
    assert!(
        faults.list().iter().all(|fault| (own || !fault.text.contains(SECRET)) && !fault.text.contains('\n'))
    );
    if faults.is_empty() {
        let routes = &resolved.snapshot.routes;
        let exact = routes.exact_names().map(|(_, entry)| &entry.targets);
        let rules = routes.rules().iter().map(|rule| &rule.targets);
        for targets in exact.chain(routes.patterns().map(|(_, entry)| &entry.targets)).chain(rules) {
            assert!(!targets.is_empty());
            assert!(targets.iter().all(|target| target.provider < resolved.snapshot.providers.len()));
        }
    }
}
