//! The key file: nothing lost, nothing overwritten that we do not understand.

use std::os::unix::fs::PermissionsExt;

use crate::config::key_file::{KeyFault, KeyFile, NewKey};
use crate::config::load::Keys;
use crate::config::tests::{Folder, load_text};

fn named(name: &str) -> NewKey {
    NewKey { name: name.to_owned(), ..NewKey::default() }
}

#[test]
fn two_writers_lose_nothing() {
    let folder = Folder::new();
    let data = folder.path().join("data");
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let data = &data;
            scope.spawn(move || {
                for n in 0..20 {
                    KeyFile::of(data).create(named(&format!("key-{writer}-{n}"))).unwrap();
                }
            });
        }
    });
    let keys = KeyFile::of(&data).read().unwrap();
    assert_eq!(keys.len(), 40);
    let mut left: Vec<_> =
        std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["keys.json", "keys.lock"]);
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data.join("keys.json")), mode(&data)), (0o600, 0o700));
}

#[test]
fn keys_come_and_go() {
    let folder = Folder::new();
    let file = KeyFile::of(folder.path());
    let wish = NewKey {
        name: "ci".to_owned(),
        team: Some("platform".to_owned()),
        user: Some("ada@example.com".to_owned()),
        admin: true,
        models: Some(vec!["claude-*".to_owned()]),
    };
    let made = file.create(wish).unwrap();
    assert_eq!(file.read().unwrap(), std::slice::from_ref(&made.stored));
    assert!(made.stored.created.ends_with('Z'));
    assert!(!format!("{made:?}").contains(made.secret.expose()));
    assert!(!folder.text("keys.json").contains(made.secret.expose()));
    let principal = made.stored.principal();
    assert_eq!(principal.team.unwrap().as_str(), "platform");
    assert_eq!((principal.user.as_deref(), principal.admin), (Some("ada@example.com"), true));
    assert!(matches!(file.create(named("ci")), Err(KeyFault::NameTaken(_))));
    assert!(matches!(file.create(named("a b")), Err(KeyFault::Name(_))));
    assert!(matches!(file.revoke("nobody"), Err(KeyFault::Unknown(_))));
    assert_eq!(file.revoke("ci").unwrap().id, made.stored.id);
    assert!(matches!(file.revoke("ci"), Err(KeyFault::Revoked(_))));
    // The name is free again, and the new key can be revoked by its id.
    let second = file.create(named("ci")).unwrap();
    assert_ne!(second.stored.id, made.stored.id);
    assert_eq!(file.revoke(&second.stored.id).unwrap().id, second.stored.id);
    assert!(file.read().unwrap().iter().all(|key| !key.is_valid()));
}

#[test]
fn a_revoked_key_opens_nothing() {
    let folder = Folder::new();
    let file = KeyFile::of(&folder.path().join("tollgate-data"));
    let (one, two) = (file.create(named("one")).unwrap(), file.create(named("two")).unwrap());
    let opens = |secret: &crate::secret::Secret| {
        let loaded = load_text(&folder, "", &[], &Keys::MakeFirst).unwrap();
        assert!(loaded.first_key.is_none());
        loaded.snapshot.keys.find(secret.expose().as_bytes()).is_some()
    };
    assert!(opens(&one.secret) && opens(&two.secret));
    file.revoke("one").unwrap();
    assert!(!opens(&one.secret) && opens(&two.secret));
}

#[test]
fn a_damaged_file_is_a_fault_and_stays_as_it_is() {
    let good_hash = "a".repeat(64);
    for damaged in [
        "",
        "{",
        "[]",
        "{\"version\":2,\"keys\":[]}",
        "{\"version\":1}",
        &format!(
            "{{\"version\":1,\
             \"keys\":[{{\"name\":\"a\",\"id\":\"b\",\"sha256\":\"{good_hash}\",\"created\":\"\"}}]}}"
        ),
        "{\"version\":1,\"keys\":[{\"name\":\"a\",\"id\":\"b\",\"sha256\":\"zz\",\"created\":\"\"}]}",
    ] {
        let folder = Folder::new();
        folder.write("tollgate-data/keys.json", damaged);
        let file = KeyFile::of(&folder.path().join("tollgate-data"));
        assert!(matches!(file.read(), Err(KeyFault::Damaged { .. })), "{damaged}");
        assert!(file.create(named("x")).is_err());
        assert!(file.revoke("x").is_err());
        let text = load_text(&folder, "", &[], &Keys::MakeFirst).unwrap_err().to_string();
        assert!(text.contains("keys.json") && text.contains("the key file is damaged"), "{text}");
        assert_eq!(folder.text("tollgate-data/keys.json"), damaged);
    }
}

#[test]
fn a_stored_key_of_a_lost_team_is_told_and_can_do_nothing() {
    let folder = Folder::new();
    let file = KeyFile::of(&folder.path().join("tollgate-data"));
    let wish = NewKey { name: "ci".to_owned(), team: Some("gone".to_owned()), ..NewKey::default() };
    let made = file.create(wish).unwrap();
    let loaded = load_text(&folder, "", &[], &Keys::Read).unwrap();
    assert!(loaded.warnings.iter().any(|line| line.contains("names team \"gone\"")), "{:?}", loaded.warnings);
    let found = loaded.snapshot.keys.find(made.secret.expose().as_bytes()).unwrap();
    assert!(!loaded.snapshot.rules.may_name(found, "anything"));
}
