use std::time::Duration;

use xueliang_events::payload::Category;
use xueliang_rules::Urgency;

use super::*;
use crate::notify::testing::{ALERTING, channel, read};
use crate::notify::way::{Maker, SmtpTls};

const WEBHOOK: &str = "[[notify]]\nassessment = \"a\"\nname = \"duty\"\nchannel = \"webhook\"\nurl = \"https://hooks.example/x\"\nsecret_file = \"secret\"\n";

fn mistakes(alerting: &str, notify: &str) -> Vec<String> {
    let Err(mistakes) = read(alerting, notify) else { panic!("should be refused: {notify}") };
    mistakes.0.iter().map(|mistake| format!("{}: {}; {}", mistake.key, mistake.problem, mistake.cure)).collect()
}

/// Settings with one mistake, and what is said of it.
fn check(alerting: &str, notify: &str, expected: &str) {
    let found = mistakes(alerting, notify);
    assert!(found.len() == 1 && found[0].starts_with(expected), "{expected}: {found:#?}");
}

#[test]
fn a_channel_has_the_defaults_that_alertmanagers_users_know() {
    let channel = channel("");
    let Timing { group_wait, group_interval, repeat } = channel.timing;
    assert_eq!([group_wait, group_interval, repeat].map(|d| d.as_secs()), [30, 300, 14_400]);
    assert_eq!((channel.per_minute, channel.voice.language), (20, Language::Zh));
    assert_eq!(channel.voice.public_url, "https://grid.example");
    assert!(channel.filter.digests && channel.filter.wants(Kind::Escalated, Urgency::C));
    assert!(channel.filter.covers(Category::GasLeak, "3402"));
}

#[test]
fn all_ways_are_read() {
    let alerting = "public_url = \"https://grid.example\"\nallowed_endpoints = [\"HOOKS.example:443\", \
        \"oapi.dingtalk.com:443\", \"qyapi.weixin.qq.com:443\", \"smtp.example:465\"]\n";
    let robots = "[[notify]]\nassessment = \"a\"\nname = \"ding\"\nchannel = \"dingtalk\"\ntoken_file = \"token\"\nsecret_file = \"secret\"\n\
        [[notify]]\nassessment = \"a\"\nname = \"wecom\"\nchannel = \"wecom\"\ntoken_file = \"token\"\nformat = \"text\"\n";
    let email = "[[notify]]\nassessment = \"a\"\nname = \"mail\"\nchannel = \"email\"\nhost = \"smtp.example\"\nfrom = \"Xueliang <x@city.example>\"\n\
        to = [\"duty@city.example\"]\ncredentials = { username = \"x\", password_file = \"token\" }\n";
    let channels = read(alerting, &format!("{WEBHOOK}{robots}{email}")).unwrap();
    assert_eq!(channels.len(), 4);
    let Way::Robot(ding) = &channels[1].way else { panic!("{:?}", channels[1].way) };
    assert!(matches!(&ding.maker, Maker::DingTalk { sign: Some(_) }) && ding.token.reveal() == "t0ken");
    let Way::Robot(wecom) = &channels[2].way else { panic!("{:?}", channels[2].way) };
    assert!(wecom.maker == Maker::WeCom && !wecom.markdown);
    let Way::Email(email) = &channels[3].way else { panic!("{:?}", channels[3].way) };
    assert_eq!((email.port, email.tls), (465, SmtpTls::Implicit));
    let shown = format!("{channels:?}");
    assert!(!shown.contains("t0ken") && !shown.contains("MfKQ"), "{shown}");
}

#[test]
fn p30_sharing_without_its_assessment_is_refused() {
    let ways = [
        "channel = \"webhook\"\nurl = \"https://hooks.example/x\"\nsecret_file = \"secret\"\n",
        "channel = \"webhook\"\nurl = \"http://localhost:9/x\"\nsecret_file = \"secret\"\n",
        "channel = \"email\"\nhost = \"hooks.example\"\nport = 443\nfrom = \"a@b.example\"\nto = [\"c@d.example\"]\n",
        "channel = \"dingtalk\"\nurl = \"https://hooks.example/\"\ntoken_file = \"token\"\n",
        "channel = \"wecom\"\nurl = \"https://hooks.example/\"\ntoken_file = \"token\"\n",
    ];
    let alerting =
        "public_url = \"https://grid.example/\"\nallowed_endpoints = [\"hooks.example:443\", \"localhost:9\"]\n";
    for way in ways {
        for absent in ["", "assessment = \"\"\n", "assessment = \" \"\n"] {
            let notify = format!("[[notify]]\nname = \"d\"\n{absent}{way}");
            check(alerting, &notify, "notify[0].assessment: is missing, and nobody is told anything without it; add");
        }
        let channels = read(alerting, &format!("[[notify]]\nname = \"d\"\nassessment = \"PIA-7\"\n{way}")).unwrap();
        assert_eq!(channels[0].assessment, "PIA-7");
    }
}

#[test]
fn p26_an_endpoint_that_is_not_on_the_list_is_refused() {
    let public = "public_url = \"https://grid.example\"\n";
    check(public, WEBHOOK, "notify[0].url: hooks.example:443 is no allowed endpoint; add \"hooks.example:443\"");
    let allowed = |list: &str| format!("{public}allowed_endpoints = [{list}]\n");
    for other in ["\"hooks.example:8443\"", "\"ooks.example:443\"", "\"hooks.example.evil:443\"", "\"example:443\""] {
        check(&allowed(other), WEBHOOK, "notify[0].url: hooks.example:443 is no allowed endpoint");
    }
    let robot = |channel: &str| {
        format!("[[notify]]\nassessment = \"a\"\nname = \"r\"\nchannel = \"{channel}\"\ntoken_file = \"token\"\n")
    };
    check(&allowed(""), &robot("dingtalk"), "notify[0].url: oapi.dingtalk.com:443 is no allowed endpoint");
    check(&allowed(""), &robot("wecom"), "notify[0].url: qyapi.weixin.qq.com:443 is no allowed endpoint");
    let mail = "[[notify]]\nassessment = \"a\"\nname = \"m\"\nchannel = \"email\"\nhost = \"smtp.example\"\nfrom = \"a@b.example\"\nto = [\"c@d.example\"]\n";
    check(&allowed("\"smtp.example:25\""), mail, "notify[0].host: smtp.example:465 is no allowed endpoint");
    assert!(read(&allowed("\"smtp.example:465\""), mail).is_ok());
    check(&allowed("\"https://hooks.example\""), "", "alerting.allowed_endpoints");
}

#[test]
fn secrets_stand_nowhere_in_the_settings() {
    let webhook = |url: &str, secret: &str| {
        format!("[[notify]]\nassessment = \"a\"\nname = \"d\"\nchannel = \"webhook\"\nurl = \"{url}\"\n{secret}\n")
    };
    let file = "secret_file = \"secret\"";
    check(ALERTING, &webhook("https://hooks.example/x?key=s3cret", file), "notify[0].url: may carry a secret");
    check(ALERTING, &webhook("https://me:s3cret@hooks.example/x", file), "notify[0].url: may carry a secret");
    check(ALERTING, &webhook("https://hooks.example/x", ""), "notify[0].secret_file: is missing");
    check(ALERTING, &webhook("https://hooks.example/x", "secret_file = \"gone\""), "notify[0].secret_file: gone: ");
    check(
        ALERTING,
        &webhook("https://hooks.example/x", "secret_file = \"empty\""),
        "notify[0].secret_file: holds nothing",
    );
    check(
        ALERTING,
        &webhook("https://hooks.example/x", "secret_file = \"token\""),
        "notify[0].secret_file: holds no signing secret",
    );
    let env = "secret_env = \"XUELIANG_NO_SUCH_VARIABLE\"";
    check(ALERTING, &webhook("https://hooks.example/x", env), "notify[0].secret_env: the environment has no");
    check(
        ALERTING,
        &webhook("https://hooks.example/x", "secret = \"s3cret\"\nsecret_file = \"secret\""),
        "notify[0].secret: unknown key",
    );
    let all = mistakes(ALERTING, &webhook("https://hooks.example/x?key=s3cret", "secret = \"s3cret\""));
    assert!(all.iter().all(|mistake| !mistake.contains("s3cret")), "{all:#?}");
}

#[test]
fn what_others_could_read_is_refused() {
    let alerting = "public_url = \"https://grid.example\"\nallowed_endpoints = [\"10.0.0.1:80\", \"10.0.0.1:25\", \"127.0.0.1:80\"]\n";
    let plain = WEBHOOK.replace("https://hooks.example/x", "http://10.0.0.1/x");
    check(alerting, &plain, "notify[0].url: can be read by anyone on the way");
    assert!(read(alerting, &format!("{plain}allow_plain = true\n")).is_ok());
    assert!(read(alerting, &plain.replace("10.0.0.1", "127.0.0.1")).is_ok());
    let mail = "[[notify]]\nassessment = \"a\"\nname = \"m\"\nchannel = \"email\"\nhost = \"10.0.0.1\"\ntls = \"none\"\nfrom = \"a@b.example\"\nto = [\"c@d.example\"]\n";
    check(alerting, mail, "notify[0].tls: lets anyone on the way read the messages");
    assert!(read(alerting, &format!("{mail}allow_plain = true\n")).is_ok());
    let account = "allow_plain = true\ncredentials = { username = \"u\", password_file = \"token\" }\n";
    check(alerting, &format!("{mail}{account}"), "notify[0].tls: lets anyone on the way read the password");
    let robot = "[[notify]]\nassessment = \"a\"\nname = \"r\"\nchannel = \"wecom\"\ntoken_file = \"token\"\nurl = \"http://10.0.0.1/\"\nallow_plain = true\n";
    let found = mistakes(alerting, robot);
    assert!(found.iter().any(|mistake| mistake.contains("can be read by anyone")), "{found:#?}");
}

#[test]
fn mistakes_name_the_key_and_the_cure() {
    let with = |keys: &str, expected: &str| check(ALERTING, &format!("{WEBHOOK}{keys}\n"), expected);
    with("categories = [\"faces\"]", "notify[0].categories: \"faces\" is not known; choose from zone_intrusion");
    with("urgency = [\"D\"]", "notify[0].urgency: \"D\" is not known; choose from A, B, C");
    with("regions = [\"shushan\"]", "notify[0].regions");
    with(
        "kinds = [\"closed\"]",
        "notify[0].kinds: \"closed\" is not known; choose from opened, reminder, overdue, escalated, glass_broken, digest",
    );
    with("kinds = [\"digest\"]", "notify[0].kinds: has nothing that a digest could stand for");
    with("repeat = \"0s\"", "notify[0].repeat: is out of range; write \"1s\" to \"7d\", or leave it out for \"4h\"");
    with("per_minute = 0", "notify[0].per_minute: 0 is out of range");
    with("language = \"de\"", "notify[0].language");
    with("group_wiat = \"1s\"", "notify[0].group_wiat: unknown key; did you mean \"group_wait\"?");
    with("ca_file = \"secret\"", "notify[0].ca_file: secret holds no certificate");
    check(ALERTING, &format!("{WEBHOOK}{WEBHOOK}"), "notify[1].name: channel duty exists already");
    check(
        ALERTING,
        "[[notify]]\nassessment = \"a\"\nname = \"d\"\nurl = \"x\"\n",
        "notify[0].channel: is missing; add channel = one of",
    );
    check("allowed_endpoints = [\"hooks.example:443\"]\n", WEBHOOK, "alerting.public_url: is missing");
    let query = ALERTING.replace("grid.example/", "grid.example/?a=b");
    check(&query, WEBHOOK, "alerting.public_url: is no plain web address");
}

#[test]
fn filters_narrow_by_category_region_urgency_and_kind() {
    let channel = channel(
        "categories = [\"gas_leak\"]\nregions = [\"340203\"]\nurgency = [\"A\"]\nkinds = [\"opened\", \"overdue\"]\ntimeout = \"2s\"",
    );
    let filter = &channel.filter;
    assert!(filter.covers(Category::GasLeak, "340203001") && !filter.covers(Category::GasLeak, "340204"));
    assert!(!filter.covers(Category::Crowding, "340203") && !filter.covers(Category::GasLeak, "3402"));
    assert!(filter.wants(Kind::Overdue, Urgency::A) && !filter.wants(Kind::Reminder, Urgency::A));
    assert!(!filter.wants(Kind::Opened, Urgency::B) && !filter.digests);
    assert_eq!(channel.patience, Duration::from_secs(2));
}
