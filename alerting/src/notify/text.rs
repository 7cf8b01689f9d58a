//! What people read of a message: a title and lines in the channel's languages, as plain text or Markdown, within a bound.

use jiff::{Timestamp, tz::TimeZone};
use xueliang_events::payload::Category;

use super::{
    Kind, Message,
    message::{Content, Count, Named},
    plan::GroupKey,
    settings::{Language, Voice},
};
use crate::words::{Bilingual, category_name};

/// A message in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// What it is about, in the channel's first language.
    pub title: String,
    lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    Heading(String),
    Incident { device: String, rest: String, link: String },
    Plain(String),
    Link(String),
}

impl Text {
    /// The words for a channel.
    pub fn of(message: &Message, voice: &Voice) -> Self {
        let title = title(&message.content);
        let pick: &[fn(Bilingual) -> String] = match voice.language {
            Language::Zh => &[|words| words.zh],
            Language::En => &[|words| words.en],
            Language::Both => &[|words| words.zh, |words| words.en],
        };
        let mut lines = Vec::new();
        for pick in pick {
            lines.push(Line::Heading(pick(title.clone())));
            lines.extend(body(&message.content, voice, *pick));
        }
        lines.push(Line::Link(match &message.content {
            Content::Incidents { named, .. } if named.len() == 1 => link_to(voice, &named[0]),
            _ => format!("{}/", voice.public_url),
        }));
        let first = pick.first().map(|pick| pick(title));
        Self { title: first.unwrap_or_default(), lines }
    }

    /// As plain text of at most so many bytes.
    pub fn plain(&self, max_bytes: usize) -> String {
        self.written(max_bytes, |line| match line {
            Line::Heading(text) => format!("{text}\n"),
            Line::Incident { device, rest, link } => format!("- {device}{rest}\n  {link}\n"),
            Line::Plain(text) => format!("- {text}\n"),
            Line::Link(link) => format!("{link}\n"),
        })
    }

    /// As Markdown, of which robots know headings, lists and links.
    pub fn markdown(&self, max_bytes: usize) -> String {
        self.written(max_bytes, |line| match line {
            Line::Heading(text) => format!("#### {}\n\n", inert(text)),
            Line::Incident { device, rest, link } => format!("- [{}]({link}){}\n", inert(device), inert(rest)),
            Line::Plain(text) => format!("- {}\n", inert(text)),
            Line::Link(link) => format!("\n[{link}]({link})\n"),
        })
    }

    /// Whole lines while they fit; the last one, the link, always stands.
    fn written(&self, max_bytes: usize, write: impl Fn(&Line) -> String) -> String {
        const CUT: &str = "…\n";
        let last = self.lines.last().map(&write).unwrap_or_default();
        let bound = max_bytes.saturating_sub(last.len() + CUT.len());
        let mut text = String::new();
        let lines = self.lines.split_last().map_or(&[][..], |(_, lines)| lines);
        for line in lines.iter().map(&write) {
            if text.len() + line.len() > bound {
                text.push_str(CUT);
                break;
            }
            text.push_str(&line);
        }
        text + &last
    }
}

/// The page of an incident.
pub(super) fn link_to(voice: &Voice, named: &Named) -> String {
    format!("{}/incidents/{}", voice.public_url, named.incident)
}

/// A message's title in both languages.
pub(super) fn title(content: &Content) -> Bilingual {
    let (zh, en) = match content {
        Content::Incidents { group: GroupKey { region, category }, kind, named, n_more } => {
            let ((zh, en), (kind_zh, kind_en)) = (category_name(*category), kind_name(*kind));
            let n = named.len() as u64 + n_more;
            let (zh, en) =
                (format!("{kind_zh}：{zh}，区域 {region}，{n} 起"), format!("{kind_en}: {en}, region {region}"));
            (zh, format!("{en}, {}", incidents(n)))
        }
        Content::Digest { kind, counts } => {
            let (kind_zh, kind_en) = kind_name(*kind);
            let n = counts.iter().map(|count| count.n_incidents).sum();
            (
                format!("汇总：{n} 起事件（最高级别：{kind_zh}）"),
                format!("Digest: {} (gravest: {kind_en})", incidents(n)),
            )
        }
        Content::Test => ("测试通知，请忽略".to_owned(), "Test notification, please ignore".to_owned()),
    };
    // A DingTalk robot may demand a keyword: the product's name stands in every title.
    Bilingual { zh: format!("雪亮 {zh}"), en: format!("Xueliang {en}") }
}

fn body(content: &Content, voice: &Voice, pick: fn(Bilingual) -> String) -> Vec<Line> {
    match content {
        Content::Incidents { kind, named, n_more, .. } => {
            let mut lines: Vec<Line> = named.iter().map(|named| incident(named, *kind, voice, pick)).collect();
            if *n_more > 0 {
                let (zh, en) = (format!("另有 {n_more} 起"), format!("and {n_more} more"));
                lines.push(Line::Plain(pick(Bilingual { zh, en })));
            }
            lines
        }
        Content::Digest { counts, .. } => counts.iter().map(|count| Line::Plain(pick(count_words(count)))).collect(),
        Content::Test => Vec::new(),
    }
}

fn incident(named: &Named, title_kind: Kind, voice: &Voice, pick: fn(Bilingual) -> String) -> Line {
    let device = pick(Bilingual { zh: named.device_zh.clone(), en: named.device_en.clone() });
    let (at, urgency) = (local(named.opened_at, &voice.zone), named.urgency.as_str());
    let (mut zh, mut en) = (format!("，{at}，紧急程度 {urgency}"), format!(", {at}, urgency {urgency}"));
    if named.kind != title_kind {
        let (kind_zh, kind_en) = kind_name(named.kind);
        zh.push_str(&format!("，{kind_zh}"));
        en.push_str(&format!(", {}", kind_en.to_lowercase()));
    }
    Line::Incident { device, rest: pick(Bilingual { zh, en }), link: link_to(voice, named) }
}

fn count_words(count: &Count) -> Bilingual {
    let Count { category, n_incidents, n_regions } = count;
    let (zh, en) = category_name(*category);
    let regions = if *n_regions == 1 { "region" } else { "regions" };
    Bilingual {
        zh: format!("{zh}：{n_incidents} 起，{n_regions} 个区域"),
        en: format!("{en}: {} in {n_regions} {regions}", incidents(*n_incidents)),
    }
}

fn kind_name(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Reminder => ("待处理提醒", "Reminder"),
        Kind::Opened => ("新事件", "New"),
        Kind::Overdue => ("已超期", "Overdue"),
        Kind::Escalated => ("已升级", "Escalated"),
        Kind::GlassBroken => ("紧急调阅，待复核", "Glass broken, to be reviewed"),
    }
}

fn incidents(n: u64) -> String {
    if n == 1 { "1 incident".to_owned() } else { format!("{n} incidents") }
}

fn local(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A category's name in both languages, for machines that show it.
pub(super) fn category_words(category: Category) -> Bilingual {
    let (zh, en) = category_name(category);
    Bilingual { zh: zh.to_owned(), en: en.to_owned() }
}

/// Text in which robots find no link, mention or colour: what could be one is written full-width.
fn inert(text: &str) -> String {
    const LIVE: [(char, char); 9] = [
        ('[', '［'),
        (']', '］'),
        ('<', '＜'),
        ('>', '＞'),
        ('*', '＊'),
        ('`', '｀'),
        ('#', '＃'),
        ('!', '！'),
        ('@', '＠'),
    ];
    let text = text.replace("://", "：//");
    text.chars().map(|c| LIVE.iter().find(|(live, _)| *live == c).map_or(c, |(_, wide)| *wide)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::testing::{channel, incident as id, second};

    fn message(n_named: u32, n_more: u64) -> Message {
        let named = |n| Named {
            incident: id(n),
            kind: if n == 2 { Kind::Reminder } else { Kind::Opened },
            urgency: xueliang_rules::Urgency::A,
            opened_at: second(0),
            device_zh: "东门[点击](http://evil.example)".to_owned(),
            device_en: "<@all> *East*".to_owned(),
        };
        let group = GroupKey { region: "340203001002003".to_owned(), category: Category::Crowding };
        let content =
            Content::Incidents { group, kind: Kind::Opened, named: (1..=n_named).map(named).collect(), n_more };
        Message { id: uuid::Uuid::nil(), at: second(30), content }
    }

    #[test]
    fn a_text_says_what_where_when_and_how_urgent_in_beijing_time() {
        let voice = channel("language = \"both\"").voice;
        let text = Text::of(&message(2, 3), &voice);
        assert_eq!(text.title, "雪亮 新事件：人员聚集，区域 340203001002003，5 起");
        let link = |n| format!("https://grid.example/incidents/{}", id(n));
        let (first, second) = (link(1), link(2));
        let (zh, en) = (
            "东门[点击](http://evil.example)，2027-01-15 16:00:00，紧急程度 A",
            "<@all> *East*, 2027-01-15 16:00:00, urgency A",
        );
        let expected = format!(
            "{title}\n- {zh}\n  {first}\n- {zh}，待处理提醒\n  {second}\n- 另有 3 起\n\
             Xueliang New: Crowding, region 340203001002003, 5 incidents\n- {en}\n  {first}\n- {en}, reminder\n  {second}\n\
             - and 3 more\nhttps://grid.example/\n",
            title = text.title
        );
        assert_eq!(text.plain(10_000), expected);
    }

    #[test]
    fn a_name_can_forge_neither_link_nor_mention() {
        let text = Text::of(&message(1, 0), &channel("language = \"both\"").voice).markdown(4096);
        assert!(text.contains("- [东门［点击］(http：//evil.example)](https://grid.example/incidents/"), "{text}");
        assert!(text.contains("- [＜＠all＞ ＊East＊]("), "{text}");
        assert!(text.starts_with("#### 雪亮 "), "{text}");
    }

    #[test]
    fn a_long_text_is_cut_between_lines_and_keeps_its_link() {
        let text = Text::of(&message(10, 990), &channel("language = \"both\"").voice);
        for max_bytes in [400, 1000, 2048, 4096] {
            for text in [text.plain(max_bytes), text.markdown(max_bytes)] {
                assert!(text.len() <= max_bytes && text.contains("https://grid.example/"), "{max_bytes}: {text}");
            }
        }
        assert!(text.plain(1000).contains("\n…\nhttps://grid.example/\n"));
    }

    #[test]
    fn a_digest_counts_by_category() {
        let counts = vec![
            Count { category: Category::CameraOffline, n_incidents: 120, n_regions: 7 },
            Count { category: Category::GasLeak, n_incidents: 1, n_regions: 1 },
        ];
        let message =
            Message { id: uuid::Uuid::nil(), at: second(0), content: Content::Digest { kind: Kind::Overdue, counts } };
        let text = Text::of(&message, &channel("language = \"both\"").voice).plain(4096);
        for part in [
            "雪亮 汇总：121 起事件（最高级别：已超期）",
            "摄像机离线：120 起，7 个区域",
            "Gas leak: 1 incident in 1 region\n",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
