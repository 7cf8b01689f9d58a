//! `xueliang account` and `xueliang token` as an administrator meets them.
#![cfg(feature = "alerting")]
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

/// What the program says, given this on its standard input, and whether it succeeded.
fn xueliang(folder: &Path, words: &str, input: &str) -> (bool, String) {
    let mut ran = Command::new(env!("CARGO_BIN_EXE_xueliang"))
        .args(words.split(' '))
        .current_dir(folder)
        .env_remove("XUELIANG_CONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    ran.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let ran = ran.wait_with_output().unwrap();
    (ran.status.success(), String::from_utf8([ran.stdout, ran.stderr].concat()).unwrap())
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = "[alerting]\ndata_dir = \"data\"\nregion = \"340200\"\n";
    std::fs::write(folder.path().join("xueliang.toml"), text).unwrap();
    folder
}

#[test]
fn accounts_are_made_shown_and_changed() {
    let folder = folder();
    let check = |words: &str, input: &str, succeeds: bool, expected: &str| {
        let (succeeded, said) = xueliang(folder.path(), words, input);
        assert!(succeeded == succeeds && said.contains(expected), "{words}: {said}");
        said
    };
    check("account --help", "", true, "the three\nadministrators are three people (RULES P29)");
    check("account list", "", true, "no accounts; `xueliang account add --help`");
    check("account add li --name Li --role king --region 340200", "", false, "known: grid_worker, operator");
    let said = check("account add li --name Li --role operator --region 340200", "", true, "li is made\npassword: ");
    let password = said.lines().find_map(|line| line.strip_prefix("password: ")).unwrap();
    assert_eq!(password.len(), 16);
    assert!(said.contains("it does nothing before `xueliang account train li`"), "{said}");
    check("account list", "", true, "li  Li  operator@340200  not trained");
    check("account train li --until 2020-01-01 --signed-on 2019-01-01", "", false, "2020-01-01 is over already");
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let until = today.checked_add(jiff::Span::new().days(9)).unwrap();
    let train = format!("account train li --until {} --signed-on 2026-01-01", until);
    check(&train, "", true, "");
    check("account list", "", true, &format!("trained to {}, signed 2026-01-01", until));
    check(
        "account assign li --role auditor --region 340200",
        "",
        false,
        "operator and auditor must be different people",
    );
    check("account password li --password-stdin", "short\n", false, "at least 12 characters");
    let said = check("account password li --password-stdin --reason lost", "a long password\n", true, "");
    assert!(!said.contains("password:"), "a chosen password is not shown: {said}");
    check("account disable li", "", true, "");
    let said = check("account list --json", "", true, "\"disabled_at\":\"20");
    assert!(!said.contains("argon2") && !said.contains(password), "{said}");
    check("account enable li", "", true, "");
    check("audit export --to rows.jsonl --reasons reasons.jsonl", "", true, "6 rows exported, 1 reasons");
    let rows = std::fs::read_to_string(folder.path().join("rows.jsonl")).unwrap();
    assert!(rows.lines().all(|row| row.contains("\"actor\":\"local:")), "{rows}");
}

#[test]
fn tokens_are_made_shown_once_and_revoked() {
    let folder = folder();
    let check = |words: &str, succeeds: bool, expected: &str| {
        let (succeeded, said) = xueliang(folder.path(), words, "");
        assert!(succeeded == succeeds && said.contains(expected), "{words}: {said}");
        said
    };
    check("token --help", true, "never for pictures");
    check("token add platform --assessment PIA-7 --purpose watch", false, "known: read_incidents, read_devices");
    check("token add platform --purpose read_incidents", false, "--assessment <ID>");
    check("token add platform --assessment PIA-7 --purpose read_incidents --days 366", false, "1..=365");
    check("token add platform --assessment PIA-7 --purpose read_incidents --region 34", false, "digits");
    let said = check("token add platform --assessment PIA-7 --purpose read_incidents", true, "token: xueliang_");
    let token = said.lines().find_map(|line| line.strip_prefix("token: ")).unwrap();
    let said = check("token list", true, "platform  read_incidents@340200  to 20");
    assert!(said.contains("never used  PIA-7") && !said.contains(token), "{said}");
    check(
        "token add platform --assessment PIA-7 --purpose read_incidents",
        false,
        "there is one named \"platform\" already",
    );
    check("token revoke platform", true, "");
    check("token list", true, "REVOKED 20");
    check("token revoke platform", false, "there is no token \"platform\" that could be revoked");
}
