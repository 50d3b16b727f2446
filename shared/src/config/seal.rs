//! The settings of `seal-snapshot`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{CALL_TIMEOUT, ConfigError, arns, by_account, invalid, milliseconds, optional, required};
use crate::id::{AccountId, Arn};

/// What the template tells `seal-snapshot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealConfig {
    /// The case bucket, `CASE_BUCKET`.
    pub case_bucket: String,
    /// Where people are told, `NOTIFICATION_TOPIC_ARN`.
    pub topic: Arn,
    /// The function's own account: that of the first of `PROTECTED_ARNS`.
    pub account: AccountId,
    /// The roles in the member accounts that may be entered, `MEMBER_ROLE_ARNS`; may be empty.
    pub members: BTreeMap<AccountId, Arn>,
    /// What the members' roles ask for besides the caller, `MEMBER_EXTERNAL_ID`.
    pub external_id: Option<String>,
    /// Where the copies go; without it snapshots are sealed where they are.
    pub forensics: Option<Forensics>,
    /// Up to how many listed blocks a snapshot's content is hashed as well, `CONTENT_HASH_BLOCKS`; 4096 where it is not
    /// set, 0 for never.
    pub content_blocks: u64,
    /// How long one try of one AWS call may take, `CALL_TIMEOUT_MS`; 5000 where it is not set.
    pub call_timeout: Duration,
}

/// The forensics account (CONTAINMENT B17).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forensics {
    /// The account.
    pub account: AccountId,
    /// The role to assume there, `FORENSICS_ROLE_ARN`.
    pub role: Arn,
    /// The key that copies are encrypted with, `FORENSICS_KEY_ARN`.
    pub key: Arn,
    /// What the role asks for besides the caller, `FORENSICS_EXTERNAL_ID`.
    pub external_id: Option<String>,
}

/// Half a minute at the quota of `GetSnapshotBlock`, and 2 GiB of data.
const CONTENT_BLOCKS: u64 = 4096;

/// What fits the longest invocation at the quota, with room to spare.
const MOST_CONTENT_BLOCKS: u64 = 400_000;

impl SealConfig {
    /// Reads the settings.
    ///
    /// # Errors
    /// When one is missing or invalid, or the forensics account is named in part.
    pub fn from_env() -> Result<Self, ConfigError> {
        let own_roles = arns("PROTECTED_ARNS", &required("PROTECTED_ARNS")?)?;
        let own = own_roles.first().ok_or(ConfigError::Missing("PROTECTED_ARNS"))?;
        let topic =
            Arn::parse(&required("NOTIFICATION_TOPIC_ARN")?).map_err(|error| invalid("NOTIFICATION_TOPIC_ARN", &error))?;
        let member_roles = arns("MEMBER_ROLE_ARNS", &optional("MEMBER_ROLE_ARNS").unwrap_or_default())?;
        let account = AccountId::parse(own.account()).map_err(|error| invalid("PROTECTED_ARNS", &error))?;
        let members = by_account(&member_roles)?;
        let forensics = forensics()?;
        if let Some(forensics) = &forensics
            && (forensics.account == account || members.contains_key(&forensics.account))
        {
            let reason = format!("account {} is one whose instances are contained", forensics.account);
            return Err(ConfigError::Invalid { variable: "FORENSICS_ROLE_ARN", reason });
        }
        Ok(Self {
            case_bucket: required("CASE_BUCKET")?,
            topic,
            account,
            members,
            external_id: optional("MEMBER_EXTERNAL_ID"),
            forensics,
            content_blocks: optional("CONTENT_HASH_BLOCKS").map_or(Ok(CONTENT_BLOCKS), |text| blocks(&text))?,
            call_timeout: match optional("CALL_TIMEOUT_MS") {
                Some(text) => milliseconds("CALL_TIMEOUT_MS", &text)?,
                None => CALL_TIMEOUT,
            },
        })
    }
}

fn forensics() -> Result<Option<Forensics>, ConfigError> {
    let read = |variable| optional(variable).map(|text| Arn::parse(&text).map_err(|error| invalid(variable, &error))).transpose();
    let (role, key) = match (read("FORENSICS_ROLE_ARN")?, read("FORENSICS_KEY_ARN")?) {
        (None, None) => return Ok(None),
        (Some(role), Some(key)) => (role, key),
        (None, Some(_)) => return Err(ConfigError::Missing("FORENSICS_ROLE_ARN")),
        (Some(_), None) => return Err(ConfigError::Missing("FORENSICS_KEY_ARN")),
    };
    // An alias would not tell which key a snapshot must have been copied under.
    if key.service() != "kms" || !key.resource().starts_with("key/") {
        return Err(ConfigError::Invalid { variable: "FORENSICS_KEY_ARN", reason: format!("`{key}` is not a key's ARN") });
    }
    let account = AccountId::parse(role.account()).map_err(|error| invalid("FORENSICS_ROLE_ARN", &error))?;
    Ok(Some(Forensics { account, role, key, external_id: optional("FORENSICS_EXTERNAL_ID") }))
}

fn blocks(text: &str) -> Result<u64, ConfigError> {
    let blocks = text.parse().ok().filter(|blocks| *blocks <= MOST_CONTENT_BLOCKS);
    blocks.ok_or_else(|| ConfigError::Invalid {
        variable: "CONTENT_HASH_BLOCKS",
        reason: format!("`{text}` is not a number of blocks up to {MOST_CONTENT_BLOCKS}"),
    })
}
