//! The clients of the function's own account.

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};

use super::CallLog;

/// Clients, made once per process so that connections stay warm.
#[cfg(feature = "identity")]
#[derive(Debug, Clone)]
pub struct Clients {
    /// GuardDuty, in the function's Region.
    pub guardduty: aws_sdk_guardduty::Client,
    /// IAM.
    pub iam: aws_sdk_iam::Client,
    /// S3, for the case bucket.
    pub s3: aws_sdk_s3::Client,
    /// Security Hub, in the function's Region.
    pub securityhub: aws_sdk_securityhub::Client,
    /// SNS.
    pub sns: aws_sdk_sns::Client,
    /// The calls of the present invocation.
    pub calls: CallLog,
}

/// Reads credentials, Region and endpoint from the environment. Retries and timeouts are part of the product and so
/// are written here, not taken from a default that a new SDK may change.
pub async fn load_config() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        // Throttling and lost connections are retried within the call; anything longer is Lambda's to retry.
        .retry_config(RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(100)))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(2))
                .operation_attempt_timeout(Duration::from_secs(5))
                .operation_timeout(Duration::from_secs(12))
                .build(),
        )
        .load()
        .await
}

#[cfg(feature = "identity")]
impl Clients {
    /// Clients over one configuration, every one of them counted.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        let calls = CallLog::default();
        macro_rules! client {
            ($service:ident) => {
                $service::Client::from_conf($service::config::Builder::from(config).interceptor(calls.clone()).build())
            };
        }
        Self {
            guardduty: client!(aws_sdk_guardduty),
            iam: client!(aws_sdk_iam),
            s3: client!(aws_sdk_s3),
            securityhub: client!(aws_sdk_securityhub),
            sns: client!(aws_sdk_sns),
            calls,
        }
    }
}

/// An S3 client that is not part of an invocation, for the command line.
#[cfg(feature = "s3")]
#[must_use]
pub fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::new(config)
}
