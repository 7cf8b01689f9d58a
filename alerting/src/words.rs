//! What people read, in Chinese and English: categories, incidents, events, commands and reasons.

use xueliang_events::{
    Class, Payload,
    payload::{Category, Direction},
};
use xueliang_rules::{Kind, Measure, Rule, SILENT};

use crate::workflow::{Command, Entry, Note};

/// One text in both languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bilingual {
    /// 中文
    pub zh: String,
    /// English
    pub en: String,
}

/// A device's name: what the registry gave in each language, else in the other, else its id.
pub fn device(id: &str, names: &(Option<String>, Option<String>)) -> Bilingual {
    let (zh, en) = names;
    both(zh.as_ref().or(en.as_ref()).map_or(id, String::as_str), en.as_ref().or(zh.as_ref()).map_or(id, String::as_str))
}

/// The device that an incident is named for, with how many more it is about.
pub fn devices(named_for: &Bilingual, n_devices: u64) -> Bilingual {
    match n_devices.saturating_sub(1) {
        0 => named_for.clone(),
        n_more => {
            both(format!("{} 等 {n_devices} 个设备", named_for.zh), format!("{} and {n_more} more", named_for.en))
        }
    }
}

fn both(zh: impl Into<String>, en: impl Into<String>) -> Bilingual {
    Bilingual { zh: zh.into(), en: en.into() }
}

/// What an incident is about.
pub fn incident(category: Category, device: &Bilingual, place: Option<&str>, values: &[Measure]) -> Bilingual {
    let (zh, en) = category_name(category);
    let (place_zh, place_en) =
        place.map_or_else(Default::default, |place| (format!(" {place}"), format!(" at {place}")));
    // A sensor that says nothing is not what it looks for.
    let is_silent = |measure: &&Measure| measure.name == SILENT;
    let (zh, en) = match values.iter().find(is_silent) {
        Some(_) => (format!("传感器无数据（{zh}）"), format!("Sensor silent ({en})")),
        None => (zh.to_owned(), en.to_owned()),
    };
    let measured: Vec<Bilingual> = values.iter().filter(|measure| !is_silent(measure)).map(measure).collect();
    let zh_values: String = measured.iter().map(|value| format!("，{}", value.zh)).collect();
    let en_values: String = measured.iter().map(|value| format!(", {}", value.en)).collect();
    let (device_zh, device_en) = (&device.zh, &device.en);
    both(format!("{zh}：{device_zh}{place_zh}{zh_values}"), format!("{en}: {device_en}{place_en}{en_values}"))
}

fn measure(measure: &Measure) -> Bilingual {
    let number = (measure.value * 100.0).round() / 100.0;
    match measure.name.as_str() {
        "count" => both(format!("{number} 个目标"), format!("count {number}")),
        "held" => both(format!("持续 {number} 秒"), format!("for {number} s")),
        "dwell" => both(format!("停留 {number} 秒"), format!("stayed {number} s")),
        "still" => both(format!("静止 {number} 秒"), format!("stood still {number} s")),
        "limit" => {
            let unit = measure.unit.as_deref().map(|unit| format!(" {unit}")).unwrap_or_default();
            both(format!("限值 {number}{unit}"), format!("limit {number}{unit}"))
        }
        "readings" => both(format!("超限 {number} 次"), format!("{number} readings beyond it")),
        "confidence" => both(format!("置信度 {number}"), format!("confidence {number}")),
        "flapping" => both("反复上下线", "it goes up and down"),
        "black" => both("画面全黑", "the picture is black"),
        "over_exposed" => both("画面过曝", "the picture is burnt out"),
        "frozen" => both("画面冻结", "the picture is frozen"),
        "covered" => both("画面被遮挡", "the view is covered"),
        "moved" => both("镜头移位", "the camera was moved"),
        "blurred" => both("画面模糊", "the picture is blurred"),
        name => {
            let unit = measure.unit.as_deref().map(|unit| format!(" {unit}")).unwrap_or_default();
            both(format!("{name} {number}{unit}"), format!("{name} {number}{unit}"))
        }
    }
}

/// What a person reported: by whom, for want of a device.
pub fn reporter(entry: Entry) -> Bilingual {
    match entry {
        Entry::Rule => both("", ""),
        Entry::GridWorker => both("网格员上报", "reported by a grid worker"),
        Entry::Hotline => both("热线来电", "reported to the hotline"),
    }
}

/// A note's button.
pub fn note(note: Note) -> Bilingual {
    match note {
        Note::Supervise => both("督办", "Supervise"),
        Note::Acknowledge => both("已知悉", "Acknowledge"),
        Note::Comment => both("备注", "Comment"),
        Note::Attach => both("附图", "Attach a picture"),
    }
}

/// A category's name in Chinese and English.
pub fn category_name(category: Category) -> (&'static str, &'static str) {
    match category {
        Category::ZoneIntrusion => ("区域入侵", "Intrusion"),
        Category::LineCrossed => ("越线", "Line crossed"),
        Category::Crowding => ("人员聚集", "Crowding"),
        Category::OverCapacity => ("超员", "Over capacity"),
        Category::Dwelling => ("滞留", "Dwelling"),
        Category::WrongWayVehicle => ("车辆逆行", "Wrong-way vehicle"),
        Category::NonmotorOnMotorway => ("非机动车上机动车道", "Bicycle on motorway"),
        Category::FireLaneBlocked => ("消防通道占用", "Fire lane blocked"),
        Category::MotorNoParking => ("机动车违停", "No-parking zone occupied"),
        Category::NonmotorParking => ("非机动车乱停放", "Bicycle parking"),
        Category::RoadFlood => ("道路积水", "Road flooded"),
        Category::UnderpassFlood => ("下穿通道积水", "Underpass flooded"),
        Category::ManholeOpen => ("井盖异常", "Manhole cover open"),
        Category::GasLeak => ("燃气泄漏", "Gas leak"),
        Category::SmokeFire => ("烟雾火情", "Smoke or fire"),
        Category::CameraTampered => ("摄像机遮挡或移位", "Camera tampered with"),
        Category::CameraOffline => ("摄像机离线", "Camera offline"),
    }
}

fn class_name(class: Class) -> (&'static str, &'static str) {
    match class {
        Class::Person => ("人员", "Person"),
        Class::Bicycle => ("自行车", "Bicycle"),
        Class::Motorcycle => ("摩托车", "Motorcycle"),
        Class::Car => ("小汽车", "Car"),
        Class::Bus => ("公交车", "Bus"),
        Class::Truck => ("货车", "Truck"),
    }
}

/// What an event says.
pub fn event(payload: &Payload) -> Bilingual {
    match payload {
        Payload::ZoneEntered(seen) => {
            let (zh, en) = class_name(seen.class);
            both(format!("{zh}进入 {}", seen.zone), format!("{en} entered {}", seen.zone))
        }
        Payload::ZoneExited(seen) => {
            let ((zh, en), s) = (class_name(seen.class), seen.dwell_ms / 1000);
            both(format!("{zh}离开 {}，停留 {s} 秒", seen.zone), format!("{en} left {} after {s} s", seen.zone))
        }
        Payload::ZoneOccupancy(seen) => {
            let present: Vec<(Class, u32)> = Class::ALL.map(|class| (class, seen.counts.of(class))).to_vec();
            let present = present.into_iter().filter(|(_, n)| *n > 0);
            let (zh, en): (Vec<String>, Vec<String>) = present
                .map(|(class, n)| (format!("{} {n}", class_name(class).0), format!("{n} {}", class.as_str())))
                .unzip();
            let (zh, en) = if zh.is_empty() {
                ("无目标".to_owned(), "empty".to_owned())
            } else {
                (zh.join("、"), en.join(", "))
            };
            both(format!("{} 内：{zh}", seen.zone), format!("{}: {en}", seen.zone))
        }
        Payload::ZoneDwelled(seen) => {
            let ((zh, en), s, still_s) = (class_name(seen.class), seen.dwell_ms / 1000, seen.still_ms / 1000);
            both(
                format!("{zh}在 {} 已停留 {s} 秒（静止 {still_s} 秒）", seen.zone),
                format!("{en} in {} for {s} s (still for {still_s} s)", seen.zone),
            )
        }
        Payload::LineCrossed(seen) => {
            let (zh, en) = class_name(seen.class);
            let (way_zh, way_en) = match seen.direction {
                Direction::Forward => ("正向", "forward"),
                Direction::Backward => ("反向", "backward"),
            };
            both(format!("{zh}{way_zh}越过 {}", seen.line), format!("{en} crossed {} {way_en}", seen.line))
        }
        Payload::SensorReading(reading) => {
            let text = format!("{} {} {}", reading.quantity, reading.value, reading.unit);
            both(text.clone(), text)
        }
        Payload::DeviceStatus(status) => {
            let cause = status.cause.as_deref().unwrap_or_default();
            let text = format!("{:?} {cause}", status.state).trim().to_lowercase();
            both(format!("状态：{text}"), format!("status: {text}"))
        }
        other => both(other.wire_type(), other.wire_type()),
    }
}

/// What a rule watches for.
pub fn rule(rule: &Rule) -> Bilingual {
    let (zh, en) = category_name(rule.category);
    let s = rule.kind.hold().as_secs_f64();
    match &rule.kind {
        Kind::Presence { .. } => both(format!("{zh}：出现满 {s} 秒"), format!("{en}: present for {s} s")),
        Kind::Occupancy { n, .. } => {
            both(format!("{zh}：不少于 {n} 个满 {s} 秒"), format!("{en}: {n} or more for {s} s"))
        }
        Kind::Dwell { still: true, .. } => both(format!("{zh}：静止满 {s} 秒"), format!("{en}: still for {s} s")),
        Kind::Dwell { .. } => both(format!("{zh}：停留满 {s} 秒"), format!("{en}: stays for {s} s")),
        Kind::Line { .. } => both(format!("{zh}：越过界线"), format!("{en}: crosses the line")),
        Kind::Balance { capacity, .. } => both(
            format!("{zh}：在场超过 {capacity} 个满 {s} 秒"),
            format!("{en}: more than {capacity} inside for {s} s"),
        ),
        Kind::Repeated { quantity, n, within, .. } => {
            let within = within.as_secs_f64();
            both(
                format!("{zh}：{quantity} 在 {within} 秒内 {n} 次超限"),
                format!("{en}: {quantity} beyond its bound {n} times within {within} s"),
            )
        }
        Kind::NoData { .. } => both(format!("{zh}：无数据满 {s} 秒"), format!("{en}: no data for {s} s")),
        Kind::Threshold { quantity, .. } => {
            both(format!("{zh}：{quantity} 超限满 {s} 秒"), format!("{en}: {quantity} beyond its bound for {s} s"))
        }
        Kind::Picture { .. } => both(format!("{zh}：画面异常满 {s} 秒"), format!("{en}: a faulty picture for {s} s")),
        Kind::Status { .. } => both(format!("{zh}：无画面满 {s} 秒"), format!("{en}: no pictures for {s} s")),
    }
}

/// A command's button.
pub fn command(command: Command) -> Bilingual {
    let (zh, en) = match command {
        Command::Discard => ("误报", "Discard"),
        Command::Report => ("确认上报", "Confirm"),
        Command::Check => ("派核查", "Send to check"),
        Command::Checked => ("核查完成", "Checked"),
        Command::Void => ("不予受理", "Not ours"),
        Command::File => ("立案", "File"),
        Command::Dispatch => ("派遣", "Dispatch"),
        Command::Return => ("退回", "Return"),
        Command::Redispatch => ("重新派遣", "Dispatch again"),
        Command::Arbitrate => ("提请裁定", "Ask for a decision"),
        Command::Handle => ("开始处置", "Start handling"),
        Command::Feedback => ("处置反馈", "Report as done"),
        Command::Rework => ("返工", "Send back to work"),
        Command::Verify => ("核实", "Have it verified"),
        Command::Reject => ("核实不通过", "Not up to standard"),
        Command::Close => ("结案", "Close"),
        Command::Suspend => ("挂账", "Suspend"),
        Command::Resume => ("恢复处置", "Resume"),
        Command::Reopen => ("重新打开", "Reopen"),
        Command::Evaluate => ("评价", "Evaluate"),
    };
    both(zh, en)
}

/// A reason in words.
pub fn reason(code: &str) -> Bilingual {
    let (zh, en) = match code {
        "nothing_there" => ("现场无异常", "Nothing there"),
        "wrong_class" => ("目标识别错误", "Something else was seen"),
        "permitted" => ("已获许可", "Permitted"),
        "repeated" => ("重复", "Known already"),
        "test" => ("测试", "A test"),
        "not_on_list" => ("不属于受理范围", "Not on the admission list"),
        "other_region" => ("不属于本区域", "Another region's"),
        "not_ours" => ("不属于本部门职责", "Not this department's"),
        "wrong_place" => ("地点有误", "Wrong place"),
        "needs_others" => ("需其他部门协同", "Needs other departments"),
        "proof_missing" => ("缺少处置凭证", "Proof is missing"),
        "not_done" => ("未处置完成", "Not done"),
        "not_up_to_standard" => ("未达标准", "Not up to standard"),
        "came_back" => ("问题反复", "It came back"),
        "weather" => ("天气原因", "Weather"),
        "construction" => ("施工原因", "Construction"),
        "waiting_for_parts" => ("等待物料", "Waiting for parts"),
        "third_party" => ("第三方原因", "A third party"),
        "new_evidence" => ("新证据", "New evidence"),
        "other" => ("其他", "Other"),
        code => (code, code),
    };
    both(zh, en)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_of_many_devices_is_named_for_one_and_says_how_many() {
        let gate = device("gate", &(None, None));
        assert_eq!(devices(&gate, 1), gate);
        assert_eq!(devices(&gate, 500), both("gate 等 500 个设备", "gate and 499 more"));
    }

    #[test]
    fn every_reason_has_words() {
        for code in Command::ALL.iter().flat_map(|command| command.reasons()) {
            assert_ne!(reason(code).en, **code, "{code}");
        }
    }

    #[test]
    fn incident_says_what_where_and_how_much() {
        let values = [Measure { name: "count".to_owned(), value: 4.0, unit: None }];
        let named = device("gate-1", &(Some("东门".to_owned()), None));
        let words = incident(Category::Crowding, &named, Some("yard"), &values);
        assert_eq!(words.zh, "人员聚集：东门 yard，4 个目标");
        assert_eq!(words.en, "Crowding: 东门 at yard, count 4");
        assert_eq!(device("gate-1", &(None, None)), both("gate-1", "gate-1"));
        let measure = |name: &str, value| Measure { name: name.to_owned(), value, unit: Some("s".to_owned()) };
        let silent = [measure(SILENT, 1.0), measure("held", 1200.0)];
        let words = incident(Category::GasLeak, &named, None, &silent);
        assert_eq!(words.zh, "传感器无数据（燃气泄漏）：东门，持续 1200 秒");
        assert_eq!(words.en, "Sensor silent (Gas leak): 东门, for 1200 s");
    }
}
