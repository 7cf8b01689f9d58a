//! Which roles one person may hold together (P29, RULES B): a pure check of an account's assignments.
//!
//! The centre's three roles go together, for what one did with an incident is looked at case by case. Every other role stands
//! alone: the three administrators are three people who do nothing else, an auditor writes nothing and sees no pictures, a
//! privacy officer doesn't operate, an integrator sees no pictures, the department and the grid worker are not the centre
//! that judges their work, and a service is no person. Regions make no difference: they nest.

use super::Assignment;
use crate::workflow::Role;

/// Two roles that one account can't hold together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} and {} must be different people", .0.as_str(), .1.as_str())]
pub struct Conflict(pub Role, pub Role);

/// Checks the assignments of one account that hold at the same time.
pub fn check_assignments(assignments: &[Assignment]) -> Result<(), Conflict> {
    check_roles(assignments.iter().map(|assignment| assignment.role))
}

pub(super) fn check_roles(mut roles: impl Iterator<Item = Role>) -> Result<(), Conflict> {
    let Some(first) = roles.next() else { return Ok(()) };
    // Going together is an equivalence, so that comparing with the first is comparing all.
    match roles.find(|other| !go_together(first, *other)) {
        Some(other) => Err(Conflict(first, other)),
        None => Ok(()),
    }
}

fn go_together(one: Role, other: Role) -> bool {
    one == other || (one.is_centre() && other.is_centre())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(roles: &[Role], expected: Result<(), Conflict>) {
        let given = |role: &Role| Assignment { role: *role, region: "3402".to_owned(), valid_until: None };
        let assignments: Vec<Assignment> = roles.iter().map(given).collect();
        assert_eq!(check_assignments(&assignments), expected, "{roles:?}");
    }

    #[test]
    fn p29_administrators_are_three_people_who_do_nothing_else() {
        use Role::{AuditAdmin, SecurityAdmin, SystemAdmin};
        for admin in [SystemAdmin, SecurityAdmin, AuditAdmin] {
            check(&[admin, admin], Ok(()));
            for other in Role::ALL.iter().copied().filter(|other| *other != admin) {
                check(&[admin, other], Err(Conflict(admin, other)));
                check(&[other, admin], Err(Conflict(other, admin)));
            }
        }
    }

    #[test]
    fn only_roles_of_the_centre_go_together() {
        use Role::{Auditor, DeptLiaison, Dispatcher, GridWorker, Operator, PrivacyOfficer, Supervisor};
        check(&[], Ok(()));
        check(&[Operator, Dispatcher, Supervisor], Ok(()));
        check(&[Operator, PrivacyOfficer], Err(Conflict(Operator, PrivacyOfficer)));
        check(&[Operator, Supervisor, Auditor], Err(Conflict(Operator, Auditor)));
        check(&[Dispatcher, DeptLiaison], Err(Conflict(Dispatcher, DeptLiaison)));
        check(&[GridWorker, DeptLiaison], Err(Conflict(GridWorker, DeptLiaison)));
        for one in Role::ALL {
            for other in Role::ALL {
                let both = one == other || (one.is_centre() && other.is_centre());
                check(&[*one, *other], if both { Ok(()) } else { Err(Conflict(*one, *other)) });
            }
        }
    }
}
