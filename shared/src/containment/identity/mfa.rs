//! MFA devices: an attacker's is persistence, the owner's is evidence and the way back (CONTAINMENT A16).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::observed::{MfaDevice, ObservedUser};
use super::persistence::is_since;
use crate::finding::{Finding, Target};
use crate::id::{AccessKeyId, UniqueId};
use crate::step::{DeactivateMfaDevice, Step};
use crate::text::printable;
use crate::timestamp::Timestamp;

/// The stage that takes away what the attacker added.
pub const PERSISTENCE_STAGE: &str = "persistence";

/// How far CloudTrail's date of the call and IAM's date of the device may lie apart to be the same enabling.
const SAME_ENABLING: Duration = Duration::from_mins(1);

/// A CloudTrail record of a successful `EnableMFADevice`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MfaEvidence {
    /// The device: `requestParameters.serialNumber`.
    pub serial: String,
    /// The key that made the call: `userIdentity.accessKeyId`.
    pub by_key: Option<AccessKeyId>,
    /// Who made the call: the unique id in `userIdentity.principalId`.
    pub by_principal: Option<UniqueId>,
    /// When.
    pub at: Timestamp,
}

/// Whether asking CloudTrail could say that the attacker enabled a device: the finding names a key, and a device was
/// enabled since its first sighting.
#[must_use]
pub fn mfa_suspects(finding: &Finding, user: &ObservedUser) -> bool {
    accused_key(finding, user).is_some() && since_first_seen(finding, user).next().is_some()
}

/// The devices that were enabled since the first sighting, with the very key the finding accuses: theirs is the
/// attacker's hand. Every other stays, and is for a person ([`mfa_left`]).
#[must_use]
pub fn mfa_to_deactivate(finding: &Finding, user: &ObservedUser, evidence: &[MfaEvidence]) -> Vec<Step> {
    since_first_seen(finding, user)
        .filter(|device| doubt(finding, user, device, evidence).is_none())
        .map(|device| {
            DeactivateMfaDevice { user: user.name.clone(), serial: device.serial.clone(), enabled: device.enabled }.into()
        })
        .collect()
}

/// What a person has to look at: every device enabled since the first sighting that is left alone, and why.
#[must_use]
pub fn mfa_left(finding: &Finding, user: &ObservedUser, evidence: &[MfaEvidence]) -> Vec<String> {
    let line = |device: &MfaDevice| {
        let doubt = doubt(finding, user, device, evidence)?;
        Some(format!(
            "MFA device {} was left in place: {doubt}. Ask the user whether it is theirs.",
            printable(&device.serial, 120)
        ))
    };
    since_first_seen(finding, user).filter_map(line).collect()
}

fn since_first_seen<'a>(finding: &Finding, user: &'a ObservedUser) -> impl Iterator<Item = &'a MfaDevice> {
    let first_seen = finding.first_seen;
    user.mfa_devices.iter().filter(move |device| device.enabled.is_some_and(|at| is_since(at, first_seen)))
}

/// Why nobody can say that the attacker enabled `device`; nothing where it is proved.
fn doubt(finding: &Finding, user: &ObservedUser, device: &MfaDevice, evidence: &[MfaEvidence]) -> Option<&'static str> {
    let Some(accused) = accused_key(finding, user) else { return Some("the finding names no key to compare with") };
    let of_device = evidence.iter().filter(|record| record.serial == device.serial);
    let Some(last) = of_device.max_by_key(|record| record.at) else {
        return Some("CloudTrail has no record yet of who enabled it");
    };
    let is_this_enabling =
        device.enabled.is_some_and(|enabled| last.at <= enabled.plus(SAME_ENABLING) && enabled <= last.at.plus(SAME_ENABLING));
    if !is_this_enabling {
        return Some("CloudTrail's last record of it is of another time than the device");
    }
    if last.by_key.as_ref() != Some(accused) {
        return Some("it was enabled with other credentials than the accused");
    }
    if last.by_principal.as_ref().is_some_and(|id| *id != user.unique_id) {
        return Some("it was enabled by another principal");
    }
    None
}

/// The key the finding accuses `user` with, its session's where it names one.
fn accused_key<'a>(finding: &'a Finding, user: &ObservedUser) -> Option<&'a AccessKeyId> {
    finding.targets.iter().find_map(|target| match target {
        Target::User(accused) if accused.name == user.name => {
            accused.key.as_ref().filter(|_| accused.unique_id.as_ref().is_none_or(|id| *id == user.unique_id))
        }
        Target::AccessKey { key } => user.keys.iter().any(|known| known.id == *key).then_some(key),
        _ => None,
    })
}
