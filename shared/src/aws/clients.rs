//! The clients: of the function's own account, and of the member accounts it may enter.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sts::config::{Credentials, SharedCredentialsProvider};
use tokio::sync::Mutex;

use super::{CallLog, Fault, FaultClass, JsonService};
#[cfg(any(feature = "instance", feature = "seal"))]
use crate::id::Region;
use crate::id::{AccountId, Arn};
use crate::timestamp::Timestamp;

/// Clients, made once per process so that connections stay warm.
#[derive(Debug, Clone)]
pub struct Clients {
    /// The function's own account.
    pub home: Access,
    /// S3, for the case bucket.
    pub s3: aws_sdk_s3::Client,
    /// Security Hub, in the function's Region: the hub that gathers the findings of the member accounts.
    pub securityhub: JsonService,
    /// SNS.
    pub sns: aws_sdk_sns::Client,
    /// EventBridge Scheduler, in the function's Region.
    pub scheduler: JsonService,
    /// Lambda, in the function's Region.
    #[cfg(feature = "recheck")]
    pub lambda: JsonService,
    /// The calls of the present invocation.
    pub calls: CallLog,
    members: Arc<Members>,
}

/// What it takes to observe and contain in one account.
#[derive(Debug, Clone)]
pub struct Access {
    /// IAM.
    pub iam: aws_sdk_iam::Client,
    /// GuardDuty.
    pub guardduty: JsonService,
    /// CloudTrail.
    pub cloudtrail: JsonService,
    #[cfg(any(feature = "instance", feature = "seal"))]
    config: SdkConfig,
    #[cfg(any(feature = "instance", feature = "seal"))]
    pub(super) calls: CallLog,
}

/// The member accounts that may be entered, each through its own role. An account that is not here is never entered,
/// whatever a finding says (CONTAINMENT A18).
#[derive(Debug)]
struct Members {
    sts: aws_sdk_sts::Client,
    config: SdkConfig,
    calls: CallLog,
    external_id: Option<String>,
    roles: BTreeMap<AccountId, Member>,
}

#[derive(Debug)]
struct Member {
    role: Arn,
    /// The session in use. The lock is held while one is made, so that side by side targets make one.
    session: Mutex<Option<Session>>,
}

#[derive(Debug)]
struct Session {
    access: Access,
    until: Timestamp,
}

/// How long before its end a session is made anew: longer than any invocation.
const RENEWED_BEFORE_END: Duration = Duration::from_mins(16);

/// How the sessions are called in the members' CloudTrail.
const SESSION_NAME: &str = "tourniquet";

impl Access {
    fn new(config: &SdkConfig, calls: &CallLog) -> Self {
        let iam = aws_sdk_iam::config::Builder::from(config).interceptor(calls.clone()).build();
        Self {
            iam: aws_sdk_iam::Client::from_conf(iam),
            guardduty: JsonService::new("guardduty", config, calls),
            cloudtrail: JsonService::new("cloudtrail", config, calls),
            #[cfg(any(feature = "instance", feature = "seal"))]
            config: config.clone(),
            #[cfg(any(feature = "instance", feature = "seal"))]
            calls: calls.clone(),
        }
    }

    /// S3 with its credentials, in the function's own Region.
    #[cfg(feature = "seal")]
    #[must_use]
    pub fn s3(&self) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::config::Builder::from(&self.config).interceptor(self.calls.clone()).build();
        aws_sdk_s3::Client::from_conf(config)
    }

    /// Its settings, for a service asked in `region`.
    #[cfg(any(feature = "instance", feature = "seal"))]
    pub(super) fn config_in(&self, region: &Region) -> SdkConfig {
        self.config.to_builder().region(aws_config::Region::new(region.as_str().to_owned())).build()
    }
}

impl Clients {
    /// Clients over one configuration, every one of them counted. `members` are the roles that may be assumed, by
    /// account.
    #[must_use]
    pub fn new(config: &SdkConfig, members: impl IntoIterator<Item = (AccountId, Arn)>, external_id: Option<String>) -> Self {
        let calls = CallLog::default();
        macro_rules! client {
            ($service:ident) => {
                $service::Client::from_conf($service::config::Builder::from(config).interceptor(calls.clone()).build())
            };
        }
        let role = |(account, role)| (account, Member { role, session: Mutex::new(None) });
        let members = Members {
            sts: client!(aws_sdk_sts),
            config: config.clone(),
            calls: calls.clone(),
            external_id,
            roles: members.into_iter().map(role).collect(),
        };
        Self {
            home: Access::new(config, &calls),
            s3: client!(aws_sdk_s3),
            securityhub: JsonService::new("securityhub", config, &calls),
            sns: client!(aws_sdk_sns),
            #[cfg(feature = "recheck")]
            lambda: JsonService::new("lambda", config, &calls),
            scheduler: JsonService::new("scheduler", config, &calls),
            members: Arc::new(members),
            calls,
        }
    }

    /// The clients for `account`: a member's, through its role, or the function's own. Costs one call when the member
    /// has no session yet, and none after.
    ///
    /// # Errors
    /// When the role cannot be assumed.
    pub async fn access(&self, account: &AccountId) -> Result<Access, Fault> {
        match self.members.roles.get(account) {
            None => Ok(self.home.clone()),
            Some(member) => self.members.enter(member).await,
        }
    }
}

impl Clients {
    /// Forgets the sessions in member accounts: the next call assumes their roles anew.
    pub async fn forget_members(&self) {
        for member in self.members.roles.values() {
            *member.session.lock().await = None;
        }
    }
}

impl Members {
    async fn enter(&self, member: &Member) -> Result<Access, Fault> {
        let mut session = member.session.lock().await;
        let now = Timestamp::now();
        if let Some(open) = session.as_ref().filter(|open| open.until > now.plus(RENEWED_BEFORE_END)) {
            return Ok(open.access.clone());
        }
        let request = self.sts.assume_role().role_arn(member.role.as_str()).role_session_name(SESSION_NAME);
        let output = request.set_external_id(self.external_id.clone()).send().await?;
        let credentials = output.credentials.ok_or_else(|| Fault {
            code: "Unreadable".to_owned(),
            message: "AssumeRole answered without credentials".to_owned(),
            class: FaultClass::Retryable,
        })?;
        let until = Timestamp::from_unix(credentials.expiration.secs()).unwrap_or(now);
        let credentials = Credentials::new(
            credentials.access_key_id,
            credentials.secret_access_key,
            Some(credentials.session_token),
            None,
            "AssumeRole",
        );
        let config = self.config.to_builder().credentials_provider(SharedCredentialsProvider::new(credentials)).build();
        let access = Access::new(&config, &self.calls);
        *session = Some(Session { access: access.clone(), until });
        Ok(access)
    }
}

/// An S3 client that is not part of an invocation, for the command line.
#[must_use]
pub fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::new(config)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as StdMutex;

    use aws_config::retry::RetryConfig;
    use aws_config::{BehaviorVersion, Region};
    use aws_sdk_sts::config::Credentials;
    use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;
    use serde_json::json;

    use super::*;
    use crate::aws::Call;

    /// Refuses everything, and remembers which host was asked and for which Region the request was signed.
    #[derive(Debug, Clone, Default)]
    struct Witness(Arc<StdMutex<Vec<(String, String)>>>);

    impl HttpConnector for Witness {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let host = request.uri().split('/').nth(2).unwrap_or_default().to_owned();
            let scope = request.headers().get("authorization").and_then(|signed| signed.split('/').nth(2)).unwrap_or_default();
            self.0.lock().expect("one thread").push((host, scope.to_owned()));
            let status = StatusCode::try_from(403).expect("a status");
            HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from("{}"))))
        }
    }

    fn clients(region: &'static str, fips: bool) -> (Clients, Witness) {
        let witness = Witness::default();
        let connector = SharedHttpConnector::new(witness.clone());
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::from_static(region))
            .retry_config(RetryConfig::disabled())
            .use_fips(fips)
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new("AKIAEXAMPLE", "secret", None, None, "test")))
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .build();
        (Clients::new(&config, [], None), witness)
    }

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
    }

    fn get_findings() -> Call {
        Call {
            operation: "GetFindings",
            method: "POST",
            path: "/detector/d/findings/get".to_owned(),
            target: None,
            body: json!({}),
        }
    }

    #[test]
    fn every_partition_has_its_own_endpoints() {
        let expected = [
            ("eu-west-1", "iam.amazonaws.com", "us-east-1", "guardduty.eu-west-1.amazonaws.com", "sts.eu-west-1.amazonaws.com"),
            (
                "cn-northwest-1",
                "iam.cn-north-1.amazonaws.com.cn",
                "cn-north-1",
                "guardduty.cn-northwest-1.amazonaws.com.cn",
                "sts.cn-northwest-1.amazonaws.com.cn",
            ),
            (
                "us-gov-east-1",
                "iam.us-gov.amazonaws.com",
                "us-gov-west-1",
                "guardduty.us-gov-east-1.amazonaws.com",
                "sts.us-gov-east-1.amazonaws.com",
            ),
        ];
        for (region, iam, iam_signed_for, guardduty, sts) in expected {
            let (clients, witness) = clients(region, false);
            block_on(async {
                let _ = clients.home.iam.get_user().user_name("a").send().await;
                let _ = clients.home.guardduty.call(None, get_findings()).await;
                let _ = clients.members.sts.assume_role().role_arn("arn").role_session_name("a").send().await;
            });
            let seen = witness.0.lock().expect("one thread").clone();
            let wanted = [(iam, iam_signed_for), (guardduty, region), (sts, region)];
            assert_eq!(seen, wanted.map(|(host, signed_for)| (host.to_owned(), signed_for.to_owned())), "{region}");
        }
    }

    #[test]
    fn another_region_s_detector_is_asked_there() {
        let (clients, witness) = clients("eu-west-1", true);
        let elsewhere = crate::id::Region::parse("us-east-2").expect("a Region");
        let refused = block_on(clients.home.guardduty.call(Some(&elsewhere), get_findings())).expect_err("403");
        assert!(!refused.message.is_empty());
        let seen = witness.0.lock().expect("one thread").clone();
        assert_eq!(seen, [("guardduty-fips.us-east-2.amazonaws.com".to_owned(), "us-east-2".to_owned())]);
    }

    #[test]
    fn an_account_that_is_not_listed_is_not_entered() {
        let (clients, witness) = clients("eu-west-1", false);
        let account = AccountId::parse("777788889999").expect("an account");
        block_on(clients.access(&account)).expect("the function's own clients");
        assert!(witness.0.lock().expect("one thread").is_empty(), "nothing was asked of STS");
    }
}
