//! Noticing changes, and taking them whole or not at all.

use crate::config::environment::Environment;
use crate::config::key_file::{KeyFile, NewKey};
use crate::config::load::{Keys, load_in};
use crate::config::outline::outline_in;
use crate::config::reload::{Watch, reload_in};
use crate::config::tests::Folder;

#[test]
fn a_watch_sees_changes_appearances_and_disappearances() {
    let folder = Folder::new();
    let one = folder.write("one", "1");
    let two = folder.path().join("two");
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&one, &link).unwrap();
    let mut watch = Watch::new(&[one.clone(), two.clone(), link.clone()]);
    assert!(watch.changed(), "what happened before the first look is unknown");
    assert!(!watch.changed());
    folder.write("one", "12");
    assert!(watch.changed());
    assert!(!watch.changed());
    folder.write("two", "");
    assert!(watch.changed());
    std::fs::remove_file(&two).unwrap();
    assert!(watch.changed());
    // The same size at the same time, but another file behind the name.
    let new = std::fs::File::create(folder.write("new", "")).unwrap();
    std::io::Write::write_all(&mut &new, b"12").unwrap();
    new.set_modified(std::fs::metadata(&one).unwrap().modified().unwrap()).unwrap();
    std::fs::rename(folder.path().join("new"), &one).unwrap();
    assert!(watch.changed());
    let other = folder.write("other", "12");
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(other, &link).unwrap();
    assert!(watch.changed());
    assert!(!watch.changed());
}

#[test]
fn what_changes_while_it_is_read_is_seen() {
    let folder = Folder::new();
    let environment = Environment::given(&[], folder.path());
    let config = folder.write("tollgate.yaml", "data_dir: data\n");
    let loaded = load_in(None, &environment, &Keys::MakeFirst).unwrap();
    // Between the reading and the first look.
    folder.write("tollgate.yaml", "data_dir: data\ndrain_s: 7\n");
    let mut watch = Watch::new(&loaded.watched);
    assert!(watch.changed());
    // While it is read again: the look that counts is the one before.
    folder.write("tollgate.yaml", "data_dir: data\ndrain_s: 77\n");
    watch.follow(&loaded.watched);
    assert!(watch.changed());
    // A file that is named for the first time has been read before anybody looked at it.
    let ca = folder.write("ca.pem", "");
    watch.follow(&[config.clone(), ca.clone()]);
    assert!(watch.changed());
    watch.follow(&[config, ca.clone(), ca.clone()]);
    assert!(!watch.changed());
    // A file that is named no more is not looked at.
    watch.follow(&[ca]);
    folder.write("tollgate.yaml", "");
    assert!(!watch.changed());
}

#[test]
fn a_first_key_settles_in_one_reload() {
    let folder = Folder::new();
    let environment = Environment::given(&[], folder.path());
    let loaded = load_in(None, &environment, &Keys::MakeFirst).unwrap();
    assert!(loaded.first_key.is_some());
    let mut watch = Watch::new(&loaded.watched);
    assert!(watch.changed());
    let reloaded = reload_in(None, &loaded.fixed, &environment).unwrap();
    assert_eq!(reloaded.snapshot.version, loaded.snapshot.version);
    watch.follow(&reloaded.watched);
    assert!(!watch.changed());
}

#[test]
fn a_reload_takes_everything_or_nothing() {
    let folder = Folder::new();
    let environment = Environment::given(&[], folder.path());
    folder.write("tollgate.yaml", "data_dir: data\n");
    let loaded = load_in(None, &environment, &Keys::MakeFirst).unwrap();
    let same = reload_in(None, &loaded.fixed, &environment).unwrap();
    assert_eq!(same.snapshot.version, loaded.snapshot.version);
    let made = KeyFile::of(&folder.path().join("data"))
        .create(NewKey { name: "two".to_owned(), ..NewKey::default() });

    folder.write(
        "tollgate.yaml",
        "data_dir: elsewhere\nlisten: 127.0.0.1:4001\nthreads: 999\nlog: {format: json}\n",
    );
    let reloaded = reload_in(None, &loaded.fixed, &environment).unwrap();
    for name in ["listen", "data_dir", "threads", "log"] {
        let line = format!("{name} changed: needs a restart");
        assert!(reloaded.warnings.contains(&line), "{line} in {:?}", reloaded.warnings);
    }
    assert!(!reloaded.warnings.iter().any(|line| line.contains("drain_s")));
    // Keys still come from the folder of the running process.
    assert!(reloaded.snapshot.keys.find(made.unwrap().secret.expose().as_bytes(), 0).is_ok());
    assert!(reloaded.watched.contains(&folder.path().join("data/keys.json")));
    assert_ne!(reloaded.snapshot.version, loaded.snapshot.version);

    folder.write("tollgate.yaml", "listen: [\n");
    assert!(reload_in(None, &loaded.fixed, &environment).is_err());
}

#[test]
fn a_reload_makes_no_key() {
    let folder = Folder::new();
    let environment = Environment::given(&[], folder.path());
    let loaded = load_in(None, &environment, &Keys::Read).unwrap();
    let reloaded = reload_in(None, &loaded.fixed, &environment).unwrap();
    assert!(reloaded.snapshot.keys.is_empty());
    assert!(!folder.path().join("tollgate-data").exists());
}

#[test]
fn an_outline_needs_no_secrets() {
    let folder = Folder::new();
    folder.write(
        "tollgate.yaml",
        "keys: [{ name: a, secret: '${env:A}', team: t }, { name: b, secret: '${env:B}' }]\n\
         teams: { t: {} }\n",
    );
    let environment = Environment::given(&[("B", "abc")], folder.path());
    assert!(load_in(None, &environment, &Keys::Read).is_err());
    let outline = outline_in(None, &environment).unwrap();
    assert_eq!(outline.teams, ["t"]);
    assert_eq!(outline.keys[0].id, None);
    assert_eq!(outline.keys[1].id.as_deref(), Some("ba7816bf8f01"));
}
