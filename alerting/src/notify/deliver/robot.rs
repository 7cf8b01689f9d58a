//! Robots of group chats: 钉钉 DingTalk and 企业微信 WeCom, which say in the body of a 200 what went wrong.
//!
//! Formats and codes from their public pages (open.dingtalk.com, custom robots; developer.work.weixin.qq.com/document/path/91770)
//! and what their users report of them.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Client, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{Delivery, judge, sign, unanswered};
use crate::notify::{
    Message,
    settings::Voice,
    text::Text,
    way::{Maker, Robot},
};

/// WeCom's bounds, bytes; DingTalk takes more.
const MAX_MARKDOWN: usize = 4096;
const MAX_TEXT: usize = 2048;
/// An answer is `{"errcode":0,"errmsg":"ok"}`; one this long is none.
const MAX_ANSWER: usize = 16 << 10;
/// DingTalk closes a robot for ten minutes when it was too fast, WeCom counts by the minute.
const DINGTALK_PAUSE: Duration = Duration::from_secs(600);
const WECOM_PAUSE: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
struct Answer {
    errcode: i64,
    #[serde(default)]
    errmsg: String,
}

/// Sends it.
pub(super) async fn send(
    client: &Client,
    robot: &Robot,
    (message, voice): (&Message, &Voice),
    now: Timestamp,
) -> Delivery {
    let request = client.post(address(robot, now)).json(&body(robot, &Text::of(message, voice)));
    let mut response = match request.send().await {
        Ok(response) => response,
        Err(error) => return unanswered(error),
    };
    if let Some(judged) = judge(&response, now) {
        return judged;
    }
    match read_answer(&mut response).await {
        Ok(Some(Answer { errcode: 0, .. })) => Delivery::Delivered,
        Ok(Some(answer)) => refused(robot, &answer),
        Ok(None) => Delivery::retry("answered with something else than an errcode"),
        Err(error) => unanswered(error),
    }
}

fn address(robot: &Robot, now: Timestamp) -> Url {
    let mut url = robot.url.clone();
    match &robot.maker {
        Maker::WeCom => {
            url.query_pairs_mut().append_pair("key", robot.token.reveal());
        }
        Maker::DingTalk { sign } => {
            let mut query = url.query_pairs_mut();
            query.append_pair("access_token", robot.token.reveal());
            if let Some(secret) = sign {
                let unix_ms = now.as_millisecond();
                query.append_pair("timestamp", &unix_ms.to_string());
                query.append_pair("sign", &sign::dingtalk(secret.reveal(), unix_ms));
            }
        }
    }
    url
}

fn body(robot: &Robot, text: &Text) -> Value {
    if !robot.markdown {
        return json!({ "msgtype": "text", "text": { "content": text.plain(MAX_TEXT) } });
    }
    let markdown = text.markdown(MAX_MARKDOWN);
    match robot.maker {
        Maker::DingTalk { .. } => {
            json!({ "msgtype": "markdown", "markdown": { "title": text.title, "text": markdown } })
        }
        Maker::WeCom => json!({ "msgtype": "markdown", "markdown": { "content": markdown } }),
    }
}

/// `None` when it is no answer of a robot.
async fn read_answer(response: &mut Response) -> Result<Option<Answer>, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > MAX_ANSWER {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(serde_json::from_slice(&bytes).ok())
}

/// Too fast: later. Unknown robots, wrong signatures and refused contents: never. Anything else may pass.
fn refused(robot: &Robot, answer: &Answer) -> Delivery {
    let reason = format!("errcode {}: {}", answer.errcode, told(&answer.errmsg, robot));
    let (pause, is_too_fast, is_final) = match robot.maker {
        Maker::DingTalk { .. } => (
            DINGTALK_PAUSE,
            matches!(answer.errcode, 130_101 | 410_100),
            matches!(
                answer.errcode,
                300_001 | 300_005 | 310_000 | 400_101 | 400_102 | 400_105 | 400_106 | 430_101..=430_104
            ),
        ),
        Maker::WeCom => {
            (WECOM_PAUSE, answer.errcode == 45_009, matches!(answer.errcode, 40_008 | 40_058 | 44_004 | 93_000))
        }
    };
    match (is_too_fast, is_final) {
        (true, _) => Delivery::Retry { after: Some(pause), reason },
        (_, true) => Delivery::Dead { reason },
        _ => Delivery::Retry { after: None, reason },
    }
}

/// The receiver's own words, short and without our secrets.
fn told(errmsg: &str, robot: &Robot) -> String {
    let sign = match &robot.maker {
        Maker::DingTalk { sign: Some(sign) } => sign.reveal(),
        _ => robot.token.reveal(),
    };
    let text = errmsg.replace(robot.token.reveal(), "…").replace(sign, "…");
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(160).collect()
}
