//! Identifiers that were checked. A finding is attacker-influenced text: nothing in it becomes an ARN, a key, a
//! policy or a query before it has passed through one of these types.

use std::fmt;

use serde::{Deserialize, Serialize};

mod arn;

pub use arn::{Arn, Partition};

/// Why a piece of text is not the identifier it claims to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not {expected}", crate::text::printable(.value, 80))]
pub struct InvalidId {
    /// What the field should have held, with its article.
    pub expected: &'static str,
    /// What it held.
    pub value: String,
}

fn is_name_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "_+=,.@-".contains(character)
}

/// Whether `value` is an id of EC2 such as `eni-0123456789abcdef0`, in the short or the long form.
pub(crate) fn is_ec2_id(value: &str, prefix: &str) -> bool {
    value.strip_prefix(prefix).is_some_and(|hex| {
        (hex.len() == 8 || hex.len() == 17) && hex.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
    })
}

/// Declares a newtype over `String` that can only be made from text passing `$check`.
macro_rules! checked_id {
    ($(#[$meta:meta])* $name:ident, $expected:literal, $check:expr) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks `value`.
            ///
            /// # Errors
            /// When the text does not have the documented form.
            pub fn parse(value: &str) -> Result<Self, InvalidId> {
                let check: fn(&str) -> bool = $check;
                if check(value) {
                    Ok(Self(value.to_owned()))
                } else {
                    Err(InvalidId { expected: $expected, value: value.to_owned() })
                }
            }

            /// The identifier as AWS writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(value: String) -> Result<Self, InvalidId> {
                Self::parse(&value)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

/// `Display` and `Debug` for the identifiers that are not secret.
macro_rules! printable_id {
    ($($name:ident),+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    )+};
}

checked_id!(
    /// A twelve-digit AWS account id.
    AccountId, "a twelve-digit account id",
    |value| value.len() == 12 && value.bytes().all(|byte| byte.is_ascii_digit())
);
checked_id!(
    /// A Region name such as `eu-west-1` or `us-gov-west-1`.
    Region, "a Region name",
    |value| value.len() <= 32
        && value.split('-').count() >= 3
        && value.split('-').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
        && value.ends_with(|last: char| last.is_ascii_digit())
);
checked_id!(
    /// The friendly name of an IAM user or role, at most 64 of `[\w+=,.@-]` (CONTAINMENT A24). Unique within an
    /// account without regard to case.
    PrincipalName, "an IAM name",
    |value| (1..=64).contains(&value.len()) && value.chars().all(is_name_character)
);
checked_id!(
    /// The name of an assumed-role session, 2 to 64 of `[\w+=,.@-]`. Chosen by whoever assumes the role, so it
    /// identifies nobody by itself (CONTAINMENT A9).
    SessionName, "a role session name",
    |value| (2..=64).contains(&value.len()) && value.chars().all(is_name_character)
);
checked_id!(
    /// The unique id of an IAM user (`AIDA…`) or role (`AROA…`): never reused, unlike the name (CONTAINMENT A9).
    UniqueId, "the unique id of an IAM user or role",
    |value| (16..=128).contains(&value.len())
        && (value.starts_with("AIDA") || value.starts_with("AROA"))
        && value.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
);
checked_id!(
    /// An access key id: `AKIA…` for a long-term key, `ASIA…` for temporary credentials. Prints redacted.
    AccessKeyId, "an access key id",
    |value| (16..=128).contains(&value.len())
        && (value.starts_with("AKIA") || value.starts_with("ASIA"))
        && value.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
);
checked_id!(
    /// An EC2 instance id, in the short or the long form.
    InstanceId, "an instance id",
    |value| is_ec2_id(value, "i-")
);
checked_id!(
    /// A network interface id.
    InterfaceId, "a network interface id",
    |value| is_ec2_id(value, "eni-")
);
checked_id!(
    /// A security group id.
    GroupId, "a security group id",
    |value| is_ec2_id(value, "sg-")
);
checked_id!(
    /// A VPC id.
    VpcId, "a VPC id",
    |value| is_ec2_id(value, "vpc-")
);
checked_id!(
    /// An EBS volume id.
    VolumeId, "a volume id",
    |value| is_ec2_id(value, "vol-")
);
checked_id!(
    /// An EBS snapshot id.
    SnapshotId, "a snapshot id",
    |value| is_ec2_id(value, "snap-")
);
checked_id!(
    /// A case id: `IR-<UTC date of the finding's first sighting>-<8 hex digits>` (DESIGN §5.2).
    CaseId, "a case id (IR-20261121-3f9a1c2e)",
    is_case_id
);
checked_id!(
    /// The canonical id of a finding: the GuardDuty finding ARN, the ASFF `Id` or the OCSF `finding_info.uid`
    /// (CONTAINMENT D3). Printable ASCII, at most 512 characters.
    FindingId, "a finding id",
    |value| (1..=512).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic())
);
printable_id!(AccountId, Region, PrincipalName, SessionName, UniqueId, InstanceId, FindingId, CaseId);
printable_id!(InterfaceId, GroupId, VpcId, VolumeId, SnapshotId);

fn is_case_id(text: &str) -> bool {
    let mut parts = text.split('-');
    let parsed = (parts.next(), parts.next(), parts.next(), parts.next());
    let all = |part: &str, length: usize, fits: fn(u8) -> bool| part.len() == length && part.bytes().all(fits);
    match parsed {
        (Some("IR"), Some(day), Some(hash), None) => {
            all(day, 8, |byte| byte.is_ascii_digit())
                && all(hash, 8, |byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
        }
        _ => false,
    }
}

impl CaseId {
    /// The id of a case of this day (`20261121`) and digest (lower-case hexadecimal, 8 digits or more).
    pub(crate) fn of_day(day: &str, digest: &str) -> Self {
        Self(format!("IR-{day}-{}", &digest[..8]))
    }
}

impl AccessKeyId {
    /// Whether this is a long-term key of a user (or of root), as against temporary credentials.
    #[must_use]
    pub fn is_long_term(&self) -> bool {
        self.0.starts_with("AKIA")
    }
}

impl fmt::Display for AccessKeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}…{}", &self.0[..4], &self.0[self.0.len() - 4..])
    }
}

impl fmt::Debug for AccessKeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_key_id_prints_redacted_and_stores_whole() {
        let key = AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").expect("a key id");
        assert_eq!(key.to_string(), "AKIA…MPLE");
        assert_eq!(format!("{key:?}"), "AKIA…MPLE");
        assert_eq!(serde_json::to_string(&key).expect("JSON"), r#""AKIAIOSFODNN7EXAMPLE""#);
    }

    #[test]
    fn only_the_form_of_a_case_id_is_one() {
        assert!(CaseId::parse("IR-20261121-3f9a1c2e").is_ok());
        for text in ["IR-20261121-3F9A1C2E", "IR-2026112-3f9a1c2e", "IR-20261121-3f9a1c2e-", "IR-20261121", "../../x", ""] {
            assert!(CaseId::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn text_of_the_wrong_form_is_refused() {
        assert!(AccountId::parse("11112222333").is_err());
        assert!(AccountId::parse("11112222333a").is_err());
        assert!(Region::parse("eu-west").is_err());
        assert!(Region::parse("eu-west-1\n").is_err());
        assert!(PrincipalName::parse("a/b").is_err());
        assert!(PrincipalName::parse("").is_err());
        assert!(PrincipalName::parse(&"a".repeat(65)).is_err());
        assert!(UniqueId::parse("AIDAEXAMPLE:session").is_err());
        assert!(UniqueId::parse("AKIAIOSFODNN7EXAMPLE").is_err());
        assert!(AccessKeyId::parse("GeneratedFindingAccessKeyId").is_err());
        assert!(InstanceId::parse("i-99999999").is_ok());
        assert!(InstanceId::parse("i-9999999").is_err());
        assert!(InterfaceId::parse("eni-0123456789abcdef0").is_ok());
        assert!(InterfaceId::parse("eni-0123456789ABCDEF0").is_err());
        assert!(GroupId::parse("sg-0123").is_err());
        assert!(VpcId::parse("subnet-0123456789abcdef0").is_err());
        assert!(FindingId::parse("a finding").is_err());
        assert!(Arn::parse("arn:aws:iam::111122223333").is_err());
        assert!(Arn::parse("arn:aws:iam::111122223333:").is_err());
        assert!(Arn::parse("arn:other:iam::111122223333:user/a").is_err());
    }
}
