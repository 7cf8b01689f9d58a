//! Who runs this command: what the audit says of changes that are made on the machine itself.

use std::fs;

/// `local:` and the operating system's user, by name where `/etc/passwd` has one. It says which user of the machine, not which
/// person; no account's name has a colon, so that neither is taken for the other.
pub fn actor() -> String {
    let uid = rustix::process::getuid().as_raw();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    format!("local:{}", name(&users, uid).unwrap_or_else(|| uid.to_string()))
}

fn name(users: &str, uid: u32) -> Option<String> {
    let uid = uid.to_string();
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid && !name.is_empty() && name.len() <= 64).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_known_by_name_where_there_is_one() {
        let users = "root:x:0:0:root:/root:/bin/sh\n\nbroken\nduty:x:1000:1000::/home/duty:/bin/sh\n";
        let check = |uid: u32, expected: Option<&str>| assert_eq!(name(users, uid).as_deref(), expected, "{uid}");
        check(0, Some("root"));
        check(1000, Some("duty"));
        check(100, None);
    }
}
