//! What has arrived elsewhere is remembered, and what is remembered may be damaged.

use std::fs;

use crate::ledger::delivered::Delivered;
use crate::ledger::files::Folder;
use crate::ledger::record::Head;
use crate::ledger::tests::place::Place;

fn head(size: u64, root: u8) -> Head {
    Head { at_ms: 1, size, root: [root; 32], chain: [0; 32], key: [0; 8], signature: [0; 64] }
}

#[test]
fn what_has_arrived_is_known_after_a_restart() {
    let place = Place::new();
    fs::create_dir_all(place.path().join("ledger")).unwrap();
    let mut delivered = Delivered::read(place.path(), "webhook");
    assert!(!delivered.has("https://a/secret", &head(7, 1)));
    delivered.note("https://a/secret", &head(7, 1)).unwrap();
    assert!(delivered.has("https://a/secret", &head(7, 1)));
    let again = Delivered::read(place.path(), "webhook");
    assert!(again.has("https://a/secret", &head(7, 1)));
    // Another place, a newer head, and a ledger that was another at the same size.
    assert!(!again.has("https://b/secret", &head(7, 1)));
    assert!(!again.has("https://a/secret", &head(8, 1)));
    assert!(!again.has("https://a/secret", &head(7, 2)));
    assert!(!Delivered::read(place.path(), "s3").has("https://a/secret", &head(7, 1)));
    let text = fs::read_to_string(Folder::of(place.path()).delivered("webhook")).unwrap();
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn a_damaged_file_is_none() {
    let place = Place::new();
    fs::create_dir_all(place.path().join("ledger")).unwrap();
    for text in ["", "{", "{\"to\":1}", &"x".repeat(100_000)] {
        fs::write(Folder::of(place.path()).delivered("s3"), text).unwrap();
        let mut delivered = Delivered::read(place.path(), "s3");
        assert!(!delivered.has("x", &head(1, 1)));
        delivered.note("x", &head(1, 1)).unwrap();
        assert!(Delivered::read(place.path(), "s3").has("x", &head(1, 1)));
    }
}
