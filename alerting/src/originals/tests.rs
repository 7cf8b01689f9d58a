//! The key's file and settings, and what opens with it.

use xueliang_settings::Document;

use super::*;

const PICTURE: &[u8] = b"\xff\xd8\xff not redacted";

/// What a worker seals for a still.
pub(crate) fn sealed(recipient: &str, still: &Digest, taken_at: Timestamp) -> Vec<u8> {
    seal(recipient, format!("xueliang-original-1 {} {taken_at}\n", still.as_str()).as_bytes())
}

fn seal(recipient: &str, line: &[u8]) -> Vec<u8> {
    let recipient: age::x25519::Recipient = recipient.parse().unwrap();
    age::encrypt(&recipient, &[line, PICTURE].concat()).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).unwrap()
}

fn digest(byte: &str) -> Digest {
    Digest::try_from(byte.repeat(32)).unwrap()
}

#[test]
fn an_original_opens_only_with_its_key_for_its_still_and_within_the_grants_times() {
    let folder = tempfile::tempdir().unwrap();
    let key = |name: &str| OriginalsKey::make(&folder.path().join(name)).unwrap();
    let (key, other) = (key("one"), key("other"));
    let still = digest("ab");
    let sealed = sealed(&key.recipient(), &still, at(0));
    let within = (at(-60), at(0));
    let opened = key.open(&sealed, &still, within).unwrap();
    assert_eq!(opened.as_ref(), PICTURE);
    assert_eq!(format!("{opened:?}"), "Original(…)");
    let shut = |key: &OriginalsKey, sealed: &[u8], still: &Digest, range| key.open(sealed, still, range).unwrap_err();
    assert_eq!(shut(&other, &sealed, &still, within), Shut::Sealed);
    assert_eq!(shut(&key, &sealed, &digest("cd"), within), Shut::Other);
    assert_eq!(shut(&key, &sealed, &still, (at(1), at(60))), Shut::Other);
    assert_eq!(shut(&key, &sealed, &still, (at(-60), at(-1))), Shut::Other);
    for cut in [0, 10, sealed.len() / 2, sealed.len() - 1] {
        assert_eq!(shut(&key, &sealed[..cut], &still, within), Shut::Sealed, "cut at {cut}");
    }
    let changed: Vec<u8> = sealed.iter().rev().skip(1).rev().copied().chain([sealed[sealed.len() - 1] ^ 1]).collect();
    assert_eq!(shut(&key, &changed, &still, within), Shut::Sealed);
    for line in ["", "\n", "xueliang-original-2 ab 2026-01-01T00:00:00Z\n", "xueliang-original-1 x y\n"] {
        assert_eq!(shut(&key, &seal(&key.recipient(), line.as_bytes()), &still, within), Shut::Foreign, "{line:?}");
    }
}

fn read(folder: &Path, table: &str) -> Result<OriginalsKey, String> {
    let read = Document::from_text(folder.join("x.toml"), table).read(|section| {
        let read = OriginalsKey::read(section, &[&folder.join("data"), &folder.join("absent")]);
        section.finish();
        read
    });
    read.map_err(|mistakes| mistakes.to_string())
}

#[test]
fn a_key_is_made_once_for_its_owner_and_read_from_its_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let made = OriginalsKey::make(&file).unwrap();
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(made.recipient().starts_with("age1"));
    assert!(matches!(OriginalsKey::make(&file), Err(MakeError::Exists(_))), "a key is never overwritten");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(&made.recipient()) && text.contains("AGE-SECRET-KEY-1"));
    let key = read(folder.path(), "key_file = \"key\"").unwrap();
    assert_eq!(key.recipient(), made.recipient());
    assert!(!format!("{key:?}").contains("SECRET"));
}

#[test]
fn mistakes_about_the_key_say_the_cure_and_not_the_key() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    for name in ["open", "data/key", "good"] {
        OriginalsKey::make(&folder.path().join(name)).unwrap();
    }
    let secret = std::fs::read_to_string(folder.path().join("good")).unwrap();
    let secret = secret.lines().last().unwrap().to_owned();
    std::fs::set_permissions(folder.path().join("open"), std::fs::Permissions::from_mode(0o640)).unwrap();
    for (name, text) in [
        ("public", "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p\n".to_owned()),
        ("two", format!("{secret}\n{secret}\n")),
        ("broken", secret[..secret.len() - 2].to_owned()),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let check = |table: &str, expected: &str| {
        let told = read(folder.path(), table).unwrap_err();
        assert!(told.contains(expected), "{expected:?} is not in {told}");
        assert!(!told.contains(&secret[20..40]), "{told}");
    };
    check("", "key_file: is missing");
    check("key_file = \"absent\"", "key_file: absent");
    check("key_file = \"open\"", "key_file: may be read by others; make it private (chmod 600)");
    check("key_file = \"data/key\"", "key_file: lies with what it opens");
    for name in ["public", "two", "broken"] {
        check(
            &format!("key_file = \"{name}\""),
            "key_file: holds no age secret key, or several; make one with `xueliang",
        );
    }
    check("key_file = \"good\"\nkey_files = 1", "key_files: unknown key");
}
