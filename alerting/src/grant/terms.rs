//! What may be asked for, and what it needs: a document and two officers for an organ of state (P21), the unit's consent for whom a
//! picture shows (P22), redacted pictures only for the public (P23), a case for a hold (P17).
//!
//! In: a request as it was written. Out: nothing, or the first field that is wrong with its cure. Officers are named by unit and
//! document, as they show them at the desk. No field takes anything about a person whom a camera saw (RULES P08).

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    access::{Action, Purpose},
    workflow::vocabulary,
};

/// Most minutes for which a grant holds.
pub const MAX_MINUTES: u32 = 240;
/// Most days for which pictures are held.
pub const MAX_DAYS: u32 = 30;
/// Longest range of pictures, days.
const MAX_RANGE_DAYS: i64 = 31;
const MAX_TEXT: usize = 200;

vocabulary! {
    /// What needs a grant.
    Sealed {
        /// See what was not redacted.
        ViewOriginal => "view_original",
        /// Hand redacted pictures out.
        Export => "export",
        /// Publish redacted pictures.
        Release => "release",
        /// Keep pictures beyond their end.
        Hold => "hold",
    }
}

impl Sealed {
    /// The action that the policies are asked for.
    pub fn action(self) -> Action {
        match self {
            Self::ViewOriginal => Action::ViewOriginal,
            Self::Export => Action::Export,
            Self::Release => Action::Release,
            Self::Hold => Action::Hold,
        }
    }

    /// What it may be asked for. Whom a picture shows may view it and take nothing along (P22); an organ of state publishes nothing.
    pub fn purposes(self) -> &'static [Purpose] {
        use Purpose::{DataSubjectAccess, EmergencyResponse, IncidentHandling, StatutoryRequest};
        match self {
            Self::ViewOriginal => &[IncidentHandling, EmergencyResponse, StatutoryRequest, DataSubjectAccess],
            Self::Export | Self::Hold => &[IncidentHandling, EmergencyResponse, StatutoryRequest],
            Self::Release => &[IncidentHandling, EmergencyResponse],
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// To do what.
    pub action: Sealed,
    /// What for.
    pub purpose: Purpose,
    /// Why, in words.
    pub reason: String,
    /// From when to when the pictures are.
    pub range: (Timestamp, Timestamp),
    /// For how many minutes.
    pub minutes: u32,
    /// What else it rests on.
    pub terms: Terms,
}

/// What a request rests on besides its reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// What an organ of state showed.
    pub document: Option<Document>,
    /// The responsible unit's consent: where it stands in its files.
    pub consent: Option<String>,
    /// The case that a hold is for.
    pub case: Option<String>,
    /// For how many days a hold keeps the pictures.
    pub days: Option<u32>,
}

/// A document by which an organ of state asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The law and article that it rests on.
    pub basis: String,
    /// Its number.
    pub number: String,
    /// From when to when it asks for pictures.
    pub range: (Timestamp, Timestamp),
    /// The officers who show it.
    pub officers: Vec<Officer>,
}

/// An officer of an organ of state, who asks in its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Officer {
    /// The unit.
    pub unit: String,
    /// The number of the officer's own document.
    pub document: String,
}

/// What is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {cure}")]
pub struct Unfit {
    /// The field.
    pub field: &'static str,
    /// What to do.
    pub cure: String,
}

fn unfit<T>(field: &'static str, cure: impl Into<String>) -> Result<T, Unfit> {
    Err(Unfit { field, cure: cure.into() })
}

impl Request {
    /// Whether this may be asked for at all.
    pub fn check(&self, now: Timestamp) -> Result<(), Unfit> {
        text("reason", &self.reason)?;
        if !self.action.purposes().contains(&self.purpose) {
            let fitting: Vec<&str> = self.action.purposes().iter().map(|purpose| purpose.as_str()).collect();
            let action = self.action.as_str();
            return unfit("purpose", format!("{action} is granted for {} only", fitting.join(", ")));
        }
        if !(1..=MAX_MINUTES).contains(&self.minutes) {
            return unfit("minutes", format!("write 1 to {MAX_MINUTES}"));
        }
        let (from, until) = self.range;
        if from > until || until > now {
            return unfit("until", "write a time from \"from\" on, not in the future");
        }
        if until.duration_since(from) > SignedDuration::from_hours(24 * MAX_RANGE_DAYS) {
            return unfit("from", format!("a range has {MAX_RANGE_DAYS} days at most; ask twice for more"));
        }
        self.check_document()?;
        self.check_consent()?;
        self.check_hold()
    }

    /// P21: basis, number, two officers, a range within the document's.
    fn check_document(&self) -> Result<(), Unfit> {
        let is_statutory = self.purpose == Purpose::StatutoryRequest;
        let Some(document) = &self.terms.document else {
            return if is_statutory {
                unfit("document", "a request by an organ of state names its document")
            } else {
                Ok(())
            };
        };
        if !is_statutory {
            return unfit("document", "goes with the purpose statutory_request only; leave it out");
        }
        text("document.basis", &document.basis)?;
        text("document.number", &document.number)?;
        let [one, two] = &document.officers[..] else {
            return unfit("document.officers", "name two officers");
        };
        for officer in [one, two] {
            text("document.officers", &officer.unit)?;
            text("document.officers", &officer.document)?;
        }
        if one.document.trim() == two.document.trim() {
            return unfit("document.officers", "name two officers, each with a document of their own");
        }
        let (from, until) = document.range;
        if from > until {
            return unfit("document.until", "write a time from the document's \"from\" on");
        }
        if self.range.0 < from || until < self.range.1 {
            return unfit("document.from", "the range asked for goes beyond the document's; ask for what it covers");
        }
        Ok(())
    }

    /// P22: the responsible unit consents. That it is for viewing only is in [`Sealed::purposes`].
    fn check_consent(&self) -> Result<(), Unfit> {
        match (&self.terms.consent, self.purpose == Purpose::DataSubjectAccess) {
            (Some(consent), true) => text("consent", consent),
            (None, true) => unfit("consent", "name the consent of the unit that is responsible for the camera"),
            (Some(_), false) => unfit("consent", "goes with the purpose data_subject_access only; leave it out"),
            (None, false) => Ok(()),
        }
    }

    /// P17: a case and an end.
    fn check_hold(&self) -> Result<(), Unfit> {
        if self.action != Sealed::Hold {
            let is_said = self.terms.case.is_some() || self.terms.days.is_some();
            return if is_said { unfit("case", "case and days go with a hold only; leave them out") } else { Ok(()) };
        }
        match &self.terms.case {
            Some(case) => text("case", case)?,
            None => return unfit("case", "name the case that the pictures are held for"),
        }
        match self.terms.days {
            Some(days) if (1..=MAX_DAYS).contains(&days) => Ok(()),
            _ => unfit("days", format!("write 1 to {MAX_DAYS}; a new grant renews a hold")),
        }
    }
}

fn text(field: &'static str, text: &str) -> Result<(), Unfit> {
    if text.trim().is_empty() || text.chars().count() > MAX_TEXT {
        return unfit(field, format!("write 1 to {MAX_TEXT} characters"));
    }
    Ok(())
}
