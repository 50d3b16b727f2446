//! The way out of a fight inside an account: a service control policy, from the management account (CONTAINMENT A3, A20).
//! It binds administrators of the account and its root; the management account itself it does not.

use super::TargetRecord;
use crate::id::Arn;
use crate::plan::Plan;
use crate::policy;
use crate::step::Step;
use crate::text::{sha256, shell_word};

/// What `${…:?}` says when the line is run without it.
const ROLE: &str = "${RESPONDER_ROLE_ARN:?the ARN of the role that may still change it}";

/// The lines that make a policy and attach it to the account of `target`. `content` are words of a shell.
pub(super) fn attach_lines(name: &str, content: &str, target: &TargetRecord) -> [String; 2] {
    let about = shell_word(&format!("Tourniquet: {}", target.arn));
    [
        format!(
            "policy_id=$(aws organizations create-policy --type SERVICE_CONTROL_POLICY --name {name} --description {about} --content {content} --query Policy.PolicySummary.Id --output text)"
        ),
        format!(r#"aws organizations attach-policy --policy-id "$policy_id" --target-id {}"#, target.account),
    ]
}

/// The lines that leave the isolation of an instance to one role alone: its interfaces, their groups, its attributes and
/// its life. Nothing where the plan isolates nothing.
#[must_use]
pub fn isolation_lines(plan: &Plan, target: &TargetRecord) -> Vec<String> {
    let Ok(instance) = Arn::parse(&target.arn) else { return Vec::new() };
    let Some((place, _)) = instance.as_str().split_once(":instance/") else { return Vec::new() };
    let (mut isolated, mut groups) = (Vec::new(), Vec::new());
    for step in plan.steps() {
        let Step::IsolateInterface(step) = step else { continue };
        isolated.push(format!("{place}:network-interface/{}", step.interface));
        groups.extend(step.group.as_ref().map(|group| format!("{place}:security-group/{group}")));
    }
    if isolated.is_empty() {
        return Vec::new();
    }
    isolated.push(instance.as_str().to_owned());
    for list in [&mut isolated, &mut groups] {
        list.sort();
        list.dedup();
    }
    let document = policy::scp_keep_isolated(&isolated, &groups, ROLE);
    let name = format!("TourniquetIsolation-{}", &sha256(document.as_bytes())[..16]);
    let content = format!("'{}'", document.replace(ROLE, &format!("'\"{ROLE}\"'")));
    attach_lines(&name, &content, target).into()
}
