//! ARNs, and the partitions of AWS they belong to.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AccountId, InstanceId, InvalidId, Region};

/// The AWS partition an ARN or a Region belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Partition {
    /// Commercial Regions.
    #[serde(rename = "aws")]
    Aws,
    /// China.
    #[serde(rename = "aws-cn")]
    China,
    /// GovCloud (US).
    #[serde(rename = "aws-us-gov")]
    GovCloud,
}

impl Partition {
    /// The partition as ARNs write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::China => "aws-cn",
            Self::GovCloud => "aws-us-gov",
        }
    }

    /// The partition an ARN names.
    ///
    /// # Errors
    /// When it is none of the three.
    pub fn parse(value: &str) -> Result<Self, InvalidId> {
        match value {
            "aws" => Ok(Self::Aws),
            "aws-cn" => Ok(Self::China),
            "aws-us-gov" => Ok(Self::GovCloud),
            _ => Err(InvalidId { expected: "a partition (aws, aws-cn, aws-us-gov)", value: value.to_owned() }),
        }
    }

    /// The partition a Region lies in.
    #[must_use]
    pub fn of_region(region: &Region) -> Self {
        if region.as_str().starts_with("cn-") {
            Self::China
        } else if region.as_str().starts_with("us-gov-") {
            Self::GovCloud
        } else {
            Self::Aws
        }
    }

    /// What the hosts of Regional endpoints end with.
    #[must_use]
    pub fn dns_suffix(self) -> &'static str {
        match self {
            Self::Aws | Self::GovCloud => "amazonaws.com",
            Self::China => "amazonaws.com.cn",
        }
    }

    /// The host of IAM, which is one for a whole partition (CONTAINMENT A24).
    #[must_use]
    pub fn iam_host(self) -> &'static str {
        match self {
            Self::Aws => "iam.amazonaws.com",
            Self::China => "iam.cn-north-1.amazonaws.com.cn",
            Self::GovCloud => "iam.us-gov.amazonaws.com",
        }
    }

    /// The Region whose CloudTrail keeps the events of IAM and the other global services (CONTAINMENT A24).
    #[must_use]
    pub fn global_region(self) -> &'static str {
        match self {
            Self::Aws => "us-east-1",
            Self::China => "cn-north-1",
            Self::GovCloud => "us-gov-west-1",
        }
    }

    /// The host of the AWS console.
    #[must_use]
    pub fn console_host(self) -> &'static str {
        match self {
            Self::Aws => "console.aws.amazon.com",
            Self::China => "console.amazonaws.cn",
            Self::GovCloud => "console.amazonaws-us-gov.com",
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// An ARN, split where AWS splits it: `arn:partition:service:region:account:resource`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Arn {
    text: String,
    partition: Partition,
    /// Offset of the first byte after each of the first five colons.
    starts: [usize; 5],
}

impl Arn {
    /// Checks `value`.
    ///
    /// # Errors
    /// When it is not six colon-separated parts of printable ASCII in a known partition.
    pub fn parse(value: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId { expected: "an ARN", value: value.to_owned() };
        if value.len() > 2048 || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid());
        }
        let mut starts = [0; 5];
        let mut from = 0;
        for start in &mut starts {
            from += value[from..].find(':').ok_or_else(invalid)? + 1;
            *start = from;
        }
        let partition = Partition::parse(&value[starts[0]..starts[1] - 1])?;
        if &value[..starts[0]] != "arn:" || starts[4] == value.len() {
            return Err(invalid());
        }
        Ok(Self { text: value.to_owned(), partition, starts })
    }

    /// The ARN of the IAM entity `resource` (`user/path/name`, `role/path/name`) in `account`.
    #[must_use]
    pub fn iam(partition: Partition, account: &AccountId, resource: &str) -> Self {
        let text = format!("arn:{partition}:iam::{account}:{resource}");
        let service = "arn:".len() + partition.as_str().len() + 1;
        let starts = [4, service, service + 4, service + 5, service + 5 + 13];
        Self { text, partition, starts }
    }

    /// The ARN of an EC2 instance.
    #[must_use]
    pub fn instance(partition: Partition, region: &Region, account: &AccountId, instance: &InstanceId) -> Self {
        let text = format!("arn:{partition}:ec2:{region}:{account}:instance/{instance}");
        let service = "arn:".len() + partition.as_str().len() + 1;
        let region_at = service + "ec2:".len();
        let account_at = region_at + region.as_str().len() + 1;
        let starts = [4, service, region_at, account_at, account_at + account.as_str().len() + 1];
        Self { text, partition, starts }
    }

    /// The whole ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `aws`, `aws-cn` or `aws-us-gov`.
    #[must_use]
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// `iam`, `guardduty`, …
    #[must_use]
    pub fn service(&self) -> &str {
        &self.text[self.starts[1]..self.starts[2] - 1]
    }

    /// The Region; empty for global services.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.text[self.starts[2]..self.starts[3] - 1]
    }

    /// The account; empty for public resources.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.text[self.starts[3]..self.starts[4] - 1]
    }

    /// Everything after the account.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.text[self.starts[4]..]
    }
}

impl TryFrom<String> for Arn {
    type Error = InvalidId;
    fn try_from(value: String) -> Result<Self, InvalidId> {
        Self::parse(&value)
    }
}

impl From<Arn> for String {
    fn from(arn: Arn) -> Self {
        arn.text
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl fmt::Debug for Arn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_split_where_aws_splits_it() {
        let arn = Arn::parse("arn:aws-us-gov:iam::111122223333:role/apps/web:x").expect("an ARN");
        assert_eq!(
            (arn.partition(), arn.service(), arn.region(), arn.account(), arn.resource()),
            (Partition::GovCloud, "iam", "", "111122223333", "role/apps/web:x")
        );
    }

    #[test]
    fn a_built_iam_arn_equals_the_parsed_one() {
        for partition in [Partition::Aws, Partition::China, Partition::GovCloud] {
            let account = AccountId::parse("111122223333").expect("an account");
            let built = Arn::iam(partition, &account, "user/svc-build");
            assert_eq!(built, Arn::parse(built.as_str()).expect("an ARN"));
        }
    }

    #[test]
    fn a_built_instance_arn_equals_the_parsed_one() {
        let account = AccountId::parse("111122223333").expect("an account");
        let instance = InstanceId::parse("i-0123456789abcdef0").expect("an instance");
        for region in ["eu-west-1", "cn-northwest-1", "us-gov-east-1"] {
            let region = Region::parse(region).expect("a Region");
            let built = Arn::instance(Partition::of_region(&region), &region, &account, &instance);
            assert_eq!(built, Arn::parse(built.as_str()).expect("an ARN"));
        }
    }
}
