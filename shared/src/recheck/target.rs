//! Whose calls a recheck looks for.

use crate::event::Suspect;
use crate::finding::Target;
use crate::plan::Plan;
use crate::step::Step;

/// Whose calls to look for: the user or the session, and for an instance the session of its role.
pub(super) fn suspect(target: &Target, plan: &Plan) -> Option<Suspect> {
    match target {
        Target::User(user) => Some(Suspect { id: user.unique_id.clone()?, session: None }),
        Target::RoleSession(session) => Some(Suspect {
            id: session.role_id.clone()?,
            session: session.session.as_ref().map(|session| session.as_str().to_owned()),
        }),
        Target::Instance(_) => plan.steps().find_map(|step| match step {
            Step::DenySession(step) => {
                Some(Suspect { id: step.role_id.clone(), session: Some(step.session.as_str().to_owned()) })
            }
            _ => None,
        }),
        _ => None,
    }
}
