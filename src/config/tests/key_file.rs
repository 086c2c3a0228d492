//! The key file: nothing lost, nothing overwritten that we do not understand.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use crate::clock;
use crate::config::key_file::{KeyFault, KeyFile, NewKey, StoredKey};
use crate::config::load::Keys;
use crate::config::tests::{Folder, load_text};
use crate::identity::role::Role;
use crate::identity::servers::{ServerRule, ServerRules};
use crate::identity::virtual_keys::{KeyRing, Unfit};
use crate::limits;
use crate::secret::Secret;

fn named(name: &str) -> NewKey {
    NewKey { name: name.to_owned(), ..NewKey::default() }
}

fn ids(revoked: Result<Vec<StoredKey>, KeyFault>) -> Vec<String> {
    revoked.unwrap().into_iter().map(|key| key.id).collect()
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
        role: Some(Role::Auditor),
        models: Some(vec!["claude-*".to_owned()]),
        regions: Some(vec!["eu".to_owned(), "eu-*".to_owned()]),
        ..NewKey::default()
    };
    let made = file.create(wish).unwrap();
    assert_eq!(file.read().unwrap(), std::slice::from_ref(&made.stored));
    assert!(made.stored.created.ends_with('Z'));
    assert!(!format!("{made:?}").contains(made.secret.expose()));
    assert!(!folder.text("keys.json").contains(made.secret.expose()));
    let principal = made.stored.principal();
    let regions: Vec<String> =
        principal.regions.iter().flat_map(|list| list.iter()).map(|glob| glob.as_str().to_owned()).collect();
    assert_eq!(regions, ["eu", "eu-*"]);
    assert_eq!(principal.team.unwrap().as_str(), "platform");
    assert_eq!((principal.user.as_deref(), principal.role), (Some("ada@example.com"), Some(Role::Auditor)));
    assert!(matches!(file.create(named("ci")), Err(KeyFault::NameTaken(_))));
    assert!(matches!(file.create(named("a b")), Err(KeyFault::Name(_))));
    assert!(matches!(file.revoke("nobody"), Err(KeyFault::Unknown(_))));
    assert_eq!(ids(file.revoke("ci")), std::slice::from_ref(&made.stored.id));
    assert!(matches!(file.revoke("ci"), Err(KeyFault::Revoked(_))));
    // The name is free again, and the new key can be revoked by its id.
    let second = file.create(named("ci")).unwrap();
    assert_ne!(second.stored.id, made.stored.id);
    assert_eq!(ids(file.revoke(&second.stored.id)), [second.stored.id]);
    assert!(file.read().unwrap().iter().all(|key| !key.is_valid()));
}

#[test]
fn a_revoked_key_opens_nothing() {
    let folder = Folder::new();
    let file = KeyFile::of(&folder.path().join("tollgate-data"));
    let (one, two) = (file.create(named("one")).unwrap(), file.create(named("two")).unwrap());
    let opens = |secret: &Secret| {
        let loaded = load_text(&folder, "", &[], &Keys::MakeFirst).unwrap();
        assert!(loaded.first_key.is_none());
        loaded.snapshot.keys.find(secret.expose().as_bytes(), 0).is_ok()
    };
    assert!(opens(&one.secret) && opens(&two.secret));
    file.revoke("one").unwrap();
    assert!(!opens(&one.secret) && opens(&two.secret));
}

#[test]
fn older_files_and_newer_ones_are_read() {
    let folder = Folder::new();
    let (hash, id) = ("ab".repeat(32), "ab".repeat(6));
    let key = |more: &str| {
        format!("{{\"name\":\"a\",\"id\":\"{id}\",\"sha256\":\"{hash}\",{more}\"created\":\"\"}}")
    };
    let file = KeyFile::of(folder.path());
    let read = |more: &str| {
        folder.write("keys.json", format!("{{\"version\":1,\"keys\":[{}]}}", key(more)));
        file.read().map(|keys| keys[0].principal())
    };
    let old = read("\"admin\":true,").unwrap();
    assert_eq!((old.role, old.until_ms, old.service), (Some(Role::Owner), None, false));
    let new = "\"role\":\"viewer\",\"expires\":\"2027-01-15T08:00:00Z\",\"generation\":3,\"service\":true,\
               \"servers\":[{\"server\":\"g*\",\"tools\":[\"read_*\"]}],";
    let new = read(new).unwrap();
    assert_eq!((new.role, new.until_ms, new.service), (Some(Role::Viewer), Some(1_800_000_000_000), true));
    assert_eq!(new.servers, Some(ServerRules::new([ServerRule::allowing("g*", ["read_*"])])));
    for wrong in ["\"role\":\"king\",", "\"expires\":\"soon\",", "\"expires\":7,", "\"more\":1,"] {
        assert!(matches!(read(wrong), Err(KeyFault::Damaged { .. })), "{wrong}");
    }
}

#[test]
fn a_rotated_key_has_two_secrets_until_the_overlap_ends() {
    let folder = Folder::new();
    let file = KeyFile::of(folder.path());
    let (now, day) = (clock::wall(), Duration::from_secs(24 * 60 * 60));
    let wish = NewKey {
        name: "ci".to_owned(),
        service: true,
        models: Some(vec!["a-*".to_owned()]),
        expires: Some(now + day * 90),
        ..NewKey::default()
    };
    let old = file.create(wish).unwrap();
    let new = file.rotate("ci", day, None).unwrap();
    let keys = file.read().unwrap();
    assert_eq!(keys.iter().map(|key| key.generation).collect::<Vec<_>>(), [1, 2]);
    let ms = |key: &StoredKey| key.until_ms().unwrap();
    let near = |found: u64, wanted: SystemTime| found.abs_diff(clock::unix_ms(wanted)) < 60_000;
    assert!(near(ms(&keys[0]), now + day), "{keys:?}");
    assert!(near(ms(&keys[1]), now + day * 90), "{keys:?}");
    assert_eq!((keys[1].models.as_deref(), keys[1].service), (old.stored.models.as_deref(), true));
    let ring = load_in_data(&folder);
    let opens =
        |secret: &Secret, at: SystemTime| match ring.find(secret.expose().as_bytes(), clock::unix_ms(at)) {
            Ok(_) => "yes",
            Err(Unfit::Expired(_)) => "expired",
            Err(_) => "no",
        };
    assert_eq!((opens(&old.secret, now), opens(&new.secret, now)), ("yes", "yes"));
    assert_eq!((opens(&old.secret, now + day * 2), opens(&new.secret, now + day * 2)), ("expired", "yes"));
    assert_eq!(opens(&new.secret, now + day * 91), "expired");
    // An overlap never makes a secret live longer.
    file.rotate("ci", day * 365, None).unwrap();
    assert!(near(ms(&file.read().unwrap()[1]), now + day * 90));
    assert_eq!(file.revoke("ci").unwrap().len(), 3);
    assert!(matches!(file.rotate("ci", day, None), Err(KeyFault::Revoked(_))));
    assert!(matches!(file.rotate("no", day, None), Err(KeyFault::Unknown(_))));
}

/// The ring of a folder whose key file lies in it.
#[test]
fn no_secret_of_a_revoked_key_opens_anything() {
    let folder = Folder::new();
    let file = KeyFile::of(folder.path());
    let day = Duration::from_secs(24 * 60 * 60);
    let mut secrets = vec![file.create(named("ci")).unwrap().secret];
    for _again in 0..3 {
        secrets.push(file.rotate("ci", day, None).unwrap().secret);
    }
    let other = file.create(named("other")).unwrap().secret;
    let found = || -> Vec<bool> {
        let ring = load_in_data(&folder);
        let now = clock::unix_ms(clock::wall());
        secrets.iter().map(|secret| ring.find(secret.expose().as_bytes(), now).is_ok()).collect()
    };
    assert_eq!(found(), [true; 4], "overlaps let each go on");
    assert_eq!(ids(file.revoke("ci")).len(), 4);
    assert_eq!(found(), [false; 4]);
    let ring = load_in_data(&folder);
    for secret in &secrets {
        assert!(matches!(ring.find(secret.expose().as_bytes(), 0), Err(Unfit::Revoked(_))));
    }
    assert!(ring.find(other.expose().as_bytes(), 0).is_ok());
    assert!(matches!(file.rotate("ci", day, None), Err(KeyFault::Revoked(_))));
}

#[test]
fn a_full_file_takes_no_key_and_lets_go_of_all() {
    let folder = Folder::new();
    let file = KeyFile::of(folder.path());
    let half = usize::try_from(limits::KEY_FILE_BYTES_MAX / 2).unwrap();
    let filled = |bytes: usize| {
        let (hash, id) = ("ab".repeat(32), "ab".repeat(6));
        let user = "x".repeat(bytes);
        folder.write(
            "keys.json",
            format!(
                "{{\"version\":1,\"keys\":[{{\"name\":\"big\",\"id\":\"{id}\",\"sha256\":\"{hash}\",\
                 \"user\":\"{user}\",\"created\":\"\"}}]}}"
            ),
        );
        folder.text("keys.json")
    };
    filled(half - 4096);
    assert!(file.create(named("fits")).is_ok());
    let before = filled(half - 200);
    assert!(matches!(file.create(named("ci")), Err(KeyFault::Full)));
    assert!(matches!(file.rotate("big", Duration::ZERO, None), Err(KeyFault::Full)));
    assert!(folder.text("keys.json") == before, "nothing was written");
    // What takes rights away always fits.
    file.revoke_user("eve", true).unwrap();
    assert_eq!(ids(file.revoke("big")).len(), 1);
    assert!(file.read().unwrap().iter().all(|key| !key.is_valid()));
}

fn load_in_data(folder: &Folder) -> KeyRing {
    load_text(folder, "data_dir: .", &[], &Keys::Read).unwrap().snapshot.keys
}

#[test]
fn a_revoked_user_has_no_keys_wherever_they_stand() {
    let folder = Folder::new();
    let file = KeyFile::of(folder.path());
    let config = "data_dir: .\nkeys: [{ name: c, secret: 0123456789012345678901, user: Ana@example.com }]";
    let ana = Some("ana@example.com".to_owned());
    let made = file.create(NewKey { name: "a".to_owned(), user: ana, ..NewKey::default() }).unwrap();
    let opened = || {
        let ring = load_text(&folder, config, &[], &Keys::Read).unwrap().snapshot.keys;
        let opens = |key: &str| ring.find(key.as_bytes(), 0).is_ok();
        (opens(made.secret.expose()), opens("0123456789012345678901"))
    };
    assert_eq!(opened(), (true, true));
    file.revoke_user("ana@Example.com", true).unwrap();
    assert_eq!(opened(), (false, false));
    assert!(matches!(file.revoke_user("ana@example.com", true), Err(KeyFault::User(_))));
    file.revoke_user("ana@example.com", false).unwrap();
    assert_eq!(opened(), (true, true));
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
    let found = loaded.snapshot.keys.find(made.secret.expose().as_bytes(), 0).unwrap();
    assert!(!loaded.snapshot.rules.may_name(found, "anything"));
}
