//! The settings of `seal-snapshot`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{ConfigError, arns, by_account, call_timeout, invalid, optional, required};
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
    /// The bucket there that cases are kept in, `FORENSICS_CASE_BUCKET`; without it they lie in the case bucket alone.
    pub case_bucket: Option<String>,
}

const CASE_BUCKET: &str = "FORENSICS_CASE_BUCKET";

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
        let case_bucket = required("CASE_BUCKET")?;
        let forensics = forensics(&case_bucket)?;
        if let Some(forensics) = &forensics
            && (forensics.account == account || members.contains_key(&forensics.account))
        {
            let reason = format!("account {} is one whose instances are contained", forensics.account);
            return Err(ConfigError::Invalid { variable: "FORENSICS_ROLE_ARN", reason });
        }
        Ok(Self {
            case_bucket,
            topic,
            account,
            members,
            external_id: optional("MEMBER_EXTERNAL_ID"),
            forensics,
            content_blocks: optional("CONTENT_HASH_BLOCKS").map_or(Ok(CONTENT_BLOCKS), |text| blocks(&text))?,
            call_timeout: call_timeout()?,
        })
    }
}

fn forensics(own_bucket: &str) -> Result<Option<Forensics>, ConfigError> {
    let read = |variable| optional(variable).map(|text| Arn::parse(&text).map_err(|error| invalid(variable, &error))).transpose();
    let (role, key) = match (read("FORENSICS_ROLE_ARN")?, read("FORENSICS_KEY_ARN")?) {
        // A bucket alone is one that nobody could write to.
        (None, None) if optional(CASE_BUCKET).is_some() => return Err(ConfigError::Missing("FORENSICS_ROLE_ARN")),
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
    let case_bucket = optional(CASE_BUCKET).map(|name| bucket(name, own_bucket)).transpose()?;
    Ok(Some(Forensics { account, role, key, external_id: optional("FORENSICS_EXTERNAL_ID"), case_bucket }))
}

/// A bucket's name, and not the case bucket's own: a case is kept twice or it is not kept.
fn bucket(name: String, own: &str) -> Result<String, ConfigError> {
    let refused = |reason| Err(ConfigError::Invalid { variable: CASE_BUCKET, reason });
    let alphanumeric = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = name.as_bytes();
    let is_name = (3..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| alphanumeric(Some(byte)) || matches!(byte, b'.' | b'-'))
        && alphanumeric(bytes.first())
        && alphanumeric(bytes.last());
    if !is_name {
        return refused(format!("`{}` is not the name of a bucket", crate::text::printable(&name, 80)));
    }
    if name == own {
        return refused(format!("`{name}` is the case bucket itself"));
    }
    Ok(name)
}

fn blocks(text: &str) -> Result<u64, ConfigError> {
    let blocks = text.parse().ok().filter(|blocks| *blocks <= MOST_CONTENT_BLOCKS);
    blocks.ok_or_else(|| ConfigError::Invalid {
        variable: "CONTENT_HASH_BLOCKS",
        reason: format!("`{text}` is not a number of blocks up to {MOST_CONTENT_BLOCKS}"),
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::as_cloudformation_names_it("tourniquet-forensics-casebucket-1a2b3c4d5e6f")]
    #[case::shortest("abc")]
    #[case::with_dots("cases.example.com")]
    fn a_bucket_of_the_forensics_account_is_taken(#[case] name: &str) {
        assert_eq!(bucket(name.to_owned(), "cases-of-111122223333").expect("a bucket"), name);
    }

    #[rstest]
    #[case::an_arn("arn:aws:s3:::cases", "is not the name of a bucket")]
    #[case::a_url("s3://cases", "is not the name of a bucket")]
    #[case::with_a_key("cases/IR-1", "is not the name of a bucket")]
    #[case::upper_case("Cases", "is not the name of a bucket")]
    #[case::too_short("ab", "is not the name of a bucket")]
    #[case::ends_in_a_dash("cases-", "is not the name of a bucket")]
    #[case::its_own("cases-of-111122223333", "is the case bucket itself")]
    fn what_cannot_be_such_a_bucket_is_refused(#[case] name: &str, #[case] reason: &str) {
        let refused = bucket(name.to_owned(), "cases-of-111122223333").expect_err("refused").to_string();
        assert!(refused.contains("FORENSICS_CASE_BUCKET") && refused.ends_with(reason), "{refused}");
    }

    #[test]
    fn a_name_that_is_too_long_is_refused() {
        bucket("a".repeat(63), "b").expect("the longest");
        bucket("a".repeat(64), "b").expect_err("one longer");
    }
}
