//! Why a change of accounts or tokens was not made, each with its cure, and the bounds that they name.

use jiff::civil::Date;

use crate::{
    access::{Conflict, PolicyError},
    accounts::AccountError,
    region::RegionError,
    store::StoreError,
    workflow::Role,
};

/// Passwords that people choose have at least so many characters.
pub(super) const MIN_PASSWORD: usize = 12;
/// And at most so many bytes.
pub(super) const MAX_PASSWORD: usize = 256;
/// A training record holds at most so long.
pub(super) const MAX_TRAINING_YEARS: i32 = 3;

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum AdministrationError {
    /// The store.
    #[error("the accounts can't be read or written")]
    Store(#[from] StoreError),
    /// The policies.
    #[error("access policies can't be used")]
    Policies(#[from] PolicyError),
    /// A password can't be hashed.
    #[error("the password can't be kept")]
    Password(#[source] AccountError),
    /// Not there.
    #[error("there is no account {0:?}; `xueliang account list` shows those that there are")]
    Unknown(String),
    /// There already.
    #[error("there is one named {0:?} already; names are given once, so that the audit stays clear")]
    Taken(String),
    /// No name.
    #[error("{0:?} can't be a name: write 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit")]
    Name(String),
    /// Nothing, or too much.
    #[error("{0} must have 1 to 100 characters")]
    Text(&'static str),
    /// No password.
    #[error(
        "a password has at least {MIN_PASSWORD} characters and at most {MAX_PASSWORD} bytes; leave it out to have one made"
    )]
    BadPassword,
    /// P29.
    #[error("{0} (RULES P29): give one of the roles to another account, or revoke the other first")]
    Conflict(#[from] Conflict),
    /// No region.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// A role of the software.
    #[error("{} is a role of a part of the software, which never signs in; machines get tokens: `xueliang token add`", .0.as_str())]
    Service(Role),
    /// A liaison without a department.
    #[error("a dept_liaison sees what its department was given: make the account with --department")]
    NoDepartment,
    /// It doesn't have that.
    #[error("the account does not have {} in region {}; `xueliang account list` shows what it has", .0.as_str(), .1)]
    NotAssigned(Role, String),
    /// Over already.
    #[error("{0} is over already; write a day to come")]
    Over(Date),
    /// Not yet.
    #[error("{0} has not come yet; write the day on which confidentiality was signed")]
    ToCome(Date),
    /// Too long.
    #[error("{0} is more than {MAX_TRAINING_YEARS} years ahead; training is repeated before that")]
    TooLong(Date),
    /// Another's.
    #[error("the subject {0:?} is linked to an account already; unlink that one first")]
    Linked(String),
    /// No such token.
    #[error("there is no token {0:?} that could be revoked; `xueliang token list` shows those that there are")]
    UnknownToken(String),
    /// Nothing changes.
    #[error("account {0:?} is {1} already")]
    Already(String, &'static str),
}
