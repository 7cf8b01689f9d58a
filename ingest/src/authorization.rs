//! What a camera needs before it may be pulled, and whether it has it on a given day (RULES P01, P02, P03, P05).
//!
//! In: what the deployer wrote of one camera, and the day where the deployer is. Out: active and until when, or suspended and why. A
//! camera in a prohibited place is never active, whatever else is written: no key and no value lifts that. All of it is what the
//! deployer says; nothing here proves it. Not here: reading it (`settings`), and stopping the camera (`fleet`).

use jiff::{
    Timestamp, ToSpan,
    civil::Date,
    tz::{Offset, TimeZone},
};
use xueliang_events::payload::Suspension;

/// Days after the first use, or after a change of what is filed, within which the filing is due (State Council Order 799, article 14).
pub const FILING_DUE_DAYS: i64 = 30;

/// Whose camera it is in the terms of State Council Order 799: article and who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegalClass {
    /// Article 7, of the government.
    Government,
    /// Article 7, of who runs the place.
    Operator,
    /// Article 9, in other public places.
    Other,
    /// Article 33, where the public does not come.
    NonPublic,
}

impl LegalClass {
    /// All of them, by the names they have in settings.
    pub const NAMED: [(&'static str, Self); 4] = [
        ("799-7-gov", Self::Government),
        ("799-7-operator", Self::Operator),
        ("799-9-other", Self::Other),
        ("799-33-nonpublic", Self::NonPublic),
    ];

    /// Its name in settings.
    pub fn as_str(self) -> &'static str {
        Self::NAMED.iter().find(|(_, class)| *class == self).map_or("", |(name, _)| name)
    }
}

/// What kind of place a camera looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A road, street or crossing.
    Street,
    /// A square.
    Square,
    /// A bridge, tunnel or underpass.
    BridgeOrTunnel,
    /// A park or green.
    Park,
    /// A place for parked vehicles.
    Parking,
    /// A station, port or airport.
    TransportHub,
    /// A vehicle or ship of public transport.
    PublicTransport,
    /// Where goods or food are sold, or an exhibition held.
    Commerce,
    /// Where culture, sport or sights are.
    Leisure,
    /// Where people are taught.
    Education,
    /// Where people are treated.
    Health,
    /// A hall or yard of public service.
    PublicService,
    /// What residents of an estate or a house share.
    ResidentialShared,
    /// Where people work.
    Workplace,
    /// A river, lake or canal and its banks.
    Waterside,
    /// Another place that everybody expects to be seen in.
    OtherOpen,
    /// No place at all: a program plays recorded footage.
    Simulated,
    /// A guest room.
    GuestRoom,
    /// A room of a dormitory.
    DormitoryRoom,
    /// A bath.
    Bath,
    /// A toilet.
    Toilet,
    /// A changing room.
    ChangingRoom,
    /// A nursing room.
    NursingRoom,
    /// A fitting room.
    FittingRoom,
    /// Any other place where a camera would spy on what is private.
    OtherPrivate,
}

impl Place {
    /// All of them, by the names they have in settings.
    pub const NAMED: [(&'static str, Self); 25] = [
        ("street", Self::Street),
        ("square", Self::Square),
        ("bridge_or_tunnel", Self::BridgeOrTunnel),
        ("park", Self::Park),
        ("parking", Self::Parking),
        ("transport_hub", Self::TransportHub),
        ("public_transport", Self::PublicTransport),
        ("commerce", Self::Commerce),
        ("leisure", Self::Leisure),
        ("education", Self::Education),
        ("health", Self::Health),
        ("public_service", Self::PublicService),
        ("residential_shared", Self::ResidentialShared),
        ("workplace", Self::Workplace),
        ("waterside", Self::Waterside),
        ("other_open", Self::OtherOpen),
        ("simulated", Self::Simulated),
        ("guest_room", Self::GuestRoom),
        ("dormitory_room", Self::DormitoryRoom),
        ("bath", Self::Bath),
        ("toilet", Self::Toilet),
        ("changing_room", Self::ChangingRoom),
        ("nursing_room", Self::NursingRoom),
        ("fitting_room", Self::FittingRoom),
        ("other_private", Self::OtherPrivate),
    ];

    /// Its name in settings.
    pub fn as_str(self) -> &'static str {
        Self::NAMED.iter().find(|(_, place)| *place == self).map_or("", |(name, _)| name)
    }

    /// True where State Council Order 799, article 8, lets no camera be.
    pub fn is_prohibited(self) -> bool {
        match self {
            Self::GuestRoom
            | Self::DormitoryRoom
            | Self::Bath
            | Self::Toilet
            | Self::ChangingRoom
            | Self::NursingRoom
            | Self::FittingRoom
            | Self::OtherPrivate => true,
            Self::Street
            | Self::Square
            | Self::BridgeOrTunnel
            | Self::Park
            | Self::Parking
            | Self::TransportHub
            | Self::PublicTransport
            | Self::Commerce
            | Self::Leisure
            | Self::Education
            | Self::Health
            | Self::PublicService
            | Self::ResidentialShared
            | Self::Workplace
            | Self::Waterside
            | Self::OtherOpen
            | Self::Simulated => false,
        }
    }
}

/// What a deployer says of one camera. Units and documents, never persons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// Whose it is.
    pub legal_class: LegalClass,
    /// The unit that answers for it.
    pub responsible_unit: String,
    /// What it looks at.
    pub place: Place,
    /// What it is needed for.
    pub necessity: Option<String>,
    /// When somebody reviewed what it sees.
    pub view: Option<Review>,
    /// The proof that people are told of it.
    pub signage: Option<Signage>,
    /// Its first day of use.
    pub first_used_on: Date,
    /// The last day on which its class, unit, place or view changed.
    pub changed_on: Option<Date>,
    /// Its filing with the public security organ (备案).
    pub filing: Option<Filing>,
}

/// A review of what a camera sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Review {
    /// When it was done.
    pub reviewed_on: Date,
    /// The last day on which it is valid.
    pub valid_until: Date,
}

/// A sign that tells people of a camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signage {
    /// The document that shows it, by its number.
    pub proof: String,
    /// The last day on which the proof is valid.
    pub valid_until: Date,
}

/// A filing, and what it says of the camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filing {
    /// Its number.
    pub number: String,
    /// When it was filed.
    pub filed_on: Date,
    /// The class it was filed for.
    pub legal_class: LegalClass,
    /// The unit it was filed for.
    pub responsible_unit: String,
    /// The place it was filed for.
    pub place: Place,
}

/// Whether a camera may be pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It may, through this day if nothing is renewed.
    Active {
        /// The last day.
        last_day: Date,
    },
    /// It may not.
    Suspended {
        /// All reasons, the gravest first; never empty.
        why: Vec<Suspension>,
    },
}

/// How it is with a camera on this day.
pub fn state(authorization: &Authorization, today: Date) -> State {
    let checks = [
        place(authorization),
        first_use(authorization, today),
        necessity(authorization),
        view(authorization, today),
        signage(authorization, today),
        filing(authorization, today),
    ];
    let why: Vec<Suspension> = checks.iter().filter_map(|check| check.err()).collect();
    if why.is_empty() {
        State::Active { last_day: checks.into_iter().flatten().min().unwrap_or(today) }
    } else {
        State::Suspended { why }
    }
}

/// The day by Beijing time, which the law's dates are in.
pub fn today(now: Timestamp) -> Date {
    now.to_zoned(TimeZone::fixed(Offset::constant(8))).date()
}

/// All reasons in an integrator's words: the gravest with its cure, the others by name.
pub fn cause(why: &[Suspension]) -> String {
    let Some((first, others)) = why.split_first() else { return String::new() };
    let others: Vec<&str> = others.iter().map(|other| other.as_str()).collect();
    let also = if others.is_empty() { String::new() } else { format!("; also: {}", others.join(", ")) };
    format!("suspended: {}{also}", advice(*first))
}

/// How long a check holds, or what it finds.
type Check = Result<Date, Suspension>;

fn place(authorization: &Authorization) -> Check {
    if authorization.place.is_prohibited() { Err(Suspension::ProhibitedPlace) } else { Ok(Date::MAX) }
}

fn first_use(authorization: &Authorization, today: Date) -> Check {
    if authorization.first_used_on > today { Err(Suspension::BeforeFirstUse) } else { Ok(Date::MAX) }
}

fn necessity(authorization: &Authorization) -> Check {
    authorization.necessity.as_ref().map(|_| Date::MAX).ok_or(Suspension::NecessityMissing)
}

fn view(authorization: &Authorization, today: Date) -> Check {
    let changed_on = authorization.changed_on.filter(|changed_on| *changed_on <= today);
    let counts =
        |review: &Review| review.reviewed_on <= today && changed_on.is_none_or(|day| review.reviewed_on >= day);
    let review = authorization.view.filter(counts).ok_or(Suspension::ViewReviewMissing)?;
    if review.valid_until < today { Err(Suspension::ViewReviewLapsed) } else { Ok(review.valid_until) }
}

fn signage(authorization: &Authorization, today: Date) -> Check {
    let signage = authorization.signage.as_ref().ok_or(Suspension::SignageMissing)?;
    if signage.valid_until < today { Err(Suspension::SignageLapsed) } else { Ok(signage.valid_until) }
}

/// Whoever never filed can't gain time by a change.
fn filing(authorization: &Authorization, today: Date) -> Check {
    let first_used_on = authorization.first_used_on;
    let changed_on = authorization.changed_on.filter(|changed_on| *changed_on <= today);
    let filed = authorization.filing.as_ref().filter(|filing| filing.filed_on <= today);
    let (day_0, late) = match filed {
        Some(filing) if is_of(filing, authorization, changed_on) => return Ok(Date::MAX),
        Some(_) => (changed_on.unwrap_or(first_used_on), Suspension::FilingOutdated),
        None => (first_used_on, Suspension::FilingMissing),
    };
    let last_day = day_0.saturating_add(FILING_DUE_DAYS.days());
    if today > last_day { Err(late) } else { Ok(last_day) }
}

/// True when what was filed is what is.
fn is_of(filing: &Filing, authorization: &Authorization, changed_on: Option<Date>) -> bool {
    filing.legal_class == authorization.legal_class
        && filing.responsible_unit == authorization.responsible_unit
        && filing.place == authorization.place
        && changed_on.is_none_or(|changed_on| filing.filed_on >= changed_on)
}

fn advice(suspension: Suspension) -> &'static str {
    match suspension {
        Suspension::ProhibitedPlace => {
            "no camera may look at a place of this kind, and nothing permits it; take it down"
        }
        Suspension::BeforeFirstUse => "the day of first_used_on has not come",
        Suspension::NecessityMissing => "nothing says what it is needed for; write authorization.necessity",
        Suspension::ViewReviewMissing => {
            "its view was not reviewed, or not since it changed; review it and write view_reviewed_on and view_valid_until"
        }
        Suspension::ViewReviewLapsed => "the review of its view is over; review it again and write the two dates",
        Suspension::SignageMissing => "nothing shows that a sign is there; write signage_proof and signage_valid_until",
        Suspension::SignageLapsed => "the proof of its sign is over; look at the sign and renew signage_valid_until",
        Suspension::FilingMissing => "in use for more than 30 days without a filing (备案); file it and write filing",
        Suspension::FilingOutdated => "filed for something else than it is, for more than 30 days; file it again",
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
