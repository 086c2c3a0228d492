//! The two ways of classing bytes against each other and against the plainest reading of the same rules.

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, prop_oneof, proptest};
use proptest::strategy::{Just, Strategy};

use super::{Bits, Halt, STEP, Skipper, Stop, prefix_xor, scalar};

/// Bytes that meet every rule often.
fn bytes(len: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        6 => Just(b'\\'),
        4 => Just(b'"'),
        4 => proptest::sample::select(b"{}[]".as_slice()),
        8 => proptest::sample::select(b" ,:01aetrul\n".as_slice()),
        1 => any::<u8>(),
    ];
    vec(byte, len)
}

/// One byte after the other.
fn string_by_hand(bytes: &[u8]) -> Result<Stop, Halt> {
    let (mut ascii, mut escaped, mut after_backslash) = (true, false, false);
    for (place, &byte) in bytes.iter().enumerate() {
        if byte < 0x20 {
            return Err(Halt::Byte(place));
        }
        ascii &= byte < 0x80;
        if after_backslash {
            after_backslash = false;
        } else if byte == b'\\' {
            (escaped, after_backslash) = (true, true);
        } else if byte == b'"' {
            return Ok(Stop { len: place + 1, ascii, escaped });
        }
    }
    Err(Halt::End)
}

/// One byte after the other; the length only.
fn container_by_hand(bytes: &[u8], room: usize) -> Result<usize, Halt> {
    let (mut depth, mut inside, mut after_backslash) = (1, false, false);
    for (place, &byte) in bytes.iter().enumerate() {
        if inside {
            if byte < 0x20 {
                return Err(Halt::Byte(place));
            }
            if after_backslash {
                after_backslash = false;
            } else if byte == b'\\' {
                after_backslash = true;
            } else if byte == b'"' {
                inside = false;
            }
            continue;
        }
        match byte {
            b'"' => inside = true,
            b'{' | b'[' if depth == room => return Err(Halt::Depth(place)),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b'\t' | b'\n' | b'\r' | b' ' => {}
            _ if b",:0123456789+-.Eaeflnrstu".contains(&byte) => {}
            _ => return Err(Halt::Byte(place)),
        }
        if depth == 0 {
            return Ok(place + 1);
        }
    }
    Err(Halt::End)
}

fn check(bytes: &[u8], room: usize) {
    for skipper in [Skipper::detect(), Skipper::narrow(), Skipper::plain()] {
        assert_eq!(skipper.string(bytes), string_by_hand(bytes), "{bytes:?}");
        let found = skipper.container(bytes, room);
        assert_eq!(found.map(|stop| stop.len), container_by_hand(bytes, room), "{bytes:?}");
        if let Ok(Stop { len, ascii: true, .. }) = found {
            assert!(bytes.iter().take(len).all(u8::is_ascii));
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn every_byte_has_the_same_classes() {
    #[target_feature(enable = "avx2")]
    fn wide(block: &[u8; STEP]) -> Bits {
        super::avx2::classify(block)
    }
    if super::avx2::Avx2::detect().is_none() {
        return;
    }
    for byte in 0..=u8::MAX {
        for place in 0..STEP {
            let mut block = [b' '; STEP];
            block[place] = byte;
            #[expect(
                unsafe_code,
                reason = "instructions that not every processor has are called behind a check"
            )]
            // SAFETY: AVX2 was found above.
            // WHY: this is what is tested.
            let found = unsafe { wide(&block) };
            assert_eq!(found, scalar::classify(&block), "byte {byte:#x} at {place}");
        }
    }
}

#[test]
fn every_length_and_place_of_a_run_of_back_slashes() {
    for before in 0..STEP + 2 {
        for run in 0..STEP + 9 {
            let mut doc = vec![b'a'; before];
            doc.extend(std::iter::repeat_n(b'\\', run));
            doc.extend_from_slice(b"\"],\"]]");
            check(&doc, 9);
            doc.insert(0, b'"');
            check(&doc, 9);
        }
    }
}

#[test]
fn every_length_ends_where_it_has_to() {
    for len in 0..200 {
        let mut doc = vec![b'1'; len];
        check(&doc, 1);
        doc.push(b'"');
        check(&doc, 1);
        doc.pop();
        doc.push(b']');
        check(&doc, 1);
        doc.extend_from_slice(b"/*\x01\xff");
        check(&doc, 1);
    }
}

#[test]
fn the_depth_is_exact() {
    for room in 1..140 {
        for levels in 1..room + 2 {
            let mut doc = vec![b'['; levels - 1];
            doc.extend(std::iter::repeat_n(b']', levels));
            check(&doc, room);
        }
    }
}

#[test]
fn parity_is_that_of_all_bits_before() {
    for bits in [0, 1, 0b1010_0100, 1 << 63, 0xdead_beef_0bad_f00d, u64::MAX] {
        let by_hand: u64 = (0..64).map(|bit| u64::from((bits << (63 - bit)).count_ones() % 2) << bit).sum();
        assert_eq!(prefix_xor(bits), by_hand, "{bits:#x}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_bytes_are_read_as_by_hand(doc in bytes(0..400), room in 1_usize..12, skip in 0_usize..70) {
        check(&doc, room);
        // Another place in memory, another phase of the blocks.
        check(doc.get(skip..).unwrap_or_default(), room);
    }

    #[test]
    fn long_strings_are_read_as_by_hand(head in vec(0x20_u8..=0xff, 0..200), tail in bytes(0..100)) {
        let doc: Vec<u8> = head.into_iter().filter(|&byte| byte != b'"').chain(tail).collect();
        check(&doc, 5);
        check(&[b"\"".as_slice(), &doc].concat(), 5);
    }
}
