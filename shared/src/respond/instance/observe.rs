//! Reading an instance: everything in one wave, so that the isolation is the third call.

use aws_sdk_ec2::types::{Filter, InstanceAttributeName};
use aws_sdk_iam::error::ProvideErrorMetadata;

use super::super::kind::{Seen, Wave};
use super::super::read::{Unread, guardrails, incomplete, open_case};
use super::super::{Function, source};
use super::raw::Answers;
use super::{Instances, describe, fleet};
use crate::aws::{Access, Compute, Fault};
use crate::containment::identity::OWN_DENY;
use crate::containment::instance::{AutoScalingMembership, Found, IsolationGroup, ObservedInstance, ProfileRole};
use crate::containment::{AtSource, Observed, TargetRecord};
use crate::error::Retry;
use crate::finding::{Finding, Instance, Target};
use crate::id::{Arn, GroupId, InstanceId, PrincipalName, Region, UniqueId, VpcId};
use crate::plan::Plan;
use crate::policy;
use crate::step::{ISOLATION_TAG, PrepareIsolationGroup, Step};

/// Reads the finding at its source, the instance with all that hangs on it, the guardrails, the recorded isolation groups
/// and the open case, side by side. The role in the instance profile is read in the same wave where the finding names
/// the profile, and one call later where it does not.
///
/// # Errors
/// When the instance or its open case cannot be read: nothing was changed.
pub(super) async fn observe(function: &Function<Instances>, finding: &Finding, target: &Target) -> Result<Wave<Found>, Retry> {
    if function.responder.is_foreign(finding) {
        return unobserved(function, finding, target, Found::NotLooked).await;
    }
    let access = match function.clients.access(&finding.account).await {
        Ok(access) => access,
        Err(fault) if fault.is_retryable() => {
            return Err(Retry::before_any_change("assuming the responder role of", finding.account.to_string(), &fault));
        }
        Err(fault) => return unobserved(function, finding, target, Found::Unreachable { reason: fault.to_string() }).await,
    };
    let Target::Instance(accused) = target else { return unobserved(function, finding, target, Found::NotLooked).await };
    let key = TargetRecord::accused(finding, target).key(&finding.id);
    let store = &function.store;
    let aws = Compute::new(&access, &finding.region);
    let (source, guardrails, found, open_case, fleets) = tokio::join!(
        Box::pin(source::at_source(&function.clients, &access, finding)),
        guardrails(store),
        Box::pin(whole(function, &access, finding, accused)),
        open_case(store, &key),
        fleet::fleets(&aws),
    );
    let seen = found.map_err(|fault| Retry::before_any_change("reading", accused.id.to_string(), &fault))?;
    let guardrails_passing = guardrails.as_ref().err().filter(|none| none.passing).map(|none| none.reason.clone());
    let observed = Observed { source, guardrails: guardrails.map_err(|none| none.reason), state: seen.state };
    let open_case = open_case?;
    let place = observed.state.instance().and_then(|instance| instance.auto_scaling.as_ref());
    let fleet = place.map(|place| fleet::of(&place.group, &accused.id, &fleets));
    let mut wave = Wave { target: target.clone(), key, observed, open_case, access, guardrails_passing, fleet };
    if let Some((case, _)) = &wave.open_case {
        // Somebody has acted, or was about to: what that needs looking at is more than the first wave reads.
        let mut state = look(&wave.access, finding, target, &case.plan).await?.state;
        if let (Found::Instance(now), Some(first)) = (&mut state, wave.observed.state.instance()) {
            // A group that was recorded before a crash is in no plan yet.
            for (vpc, group) in &first.isolation {
                now.isolation.entry(vpc.clone()).or_insert_with(|| group.clone());
            }
        }
        wave.observed.state = state;
    }
    Ok(wave)
}

/// A finding of an account that may not be, or cannot be, entered: nothing of this account may be taken for what it
/// names.
async fn unobserved(
    function: &Function<Instances>,
    finding: &Finding,
    target: &Target,
    state: Found,
) -> Result<Wave<Found>, Retry> {
    let key = TargetRecord::accused(finding, target).key(&finding.id);
    let (guardrails, open_case) = tokio::join!(guardrails(&function.store), open_case(&function.store, &key));
    let source = AtSource::Unconfirmed { reason: "the detector of another account".to_owned(), retryable: false };
    let guardrails_passing = guardrails.as_ref().err().filter(|none| none.passing).map(|none| none.reason.clone());
    let observed = Observed { source, guardrails: guardrails.map_err(|none| none.reason), state };
    let access = function.clients.home.clone();
    Ok(Wave { target: target.clone(), key, observed, open_case: open_case?, access, guardrails_passing, fleet: None })
}

/// The instance and the isolation groups that are recorded for its VPCs.
async fn whole(
    function: &Function<Instances>,
    access: &Access,
    finding: &Finding,
    accused: &Instance,
) -> Result<Seen<Found>, Fault> {
    let aws = Compute::new(access, &finding.region);
    let claimed = accused.profile.as_ref();
    let (seen, recorded, tagged, role) = tokio::join!(
        Box::pin(instance(&aws, &finding.region, &accused.id)),
        function.store.isolation_groups(&finding.account, &finding.region),
        tagged_groups(&aws),
        async {
            match claimed {
                Some(profile) => Some(role_of(&aws, profile).await),
                None => None,
            }
        },
    );
    let (mut seen, mut unread) = seen?;
    let Found::Instance(instance) = &mut seen else { return Ok(Seen { state: seen, passing: unread.passing }) };
    let recorded = recorded.unwrap_or_else(|fault| unread.note("recorded isolation groups", &fault).unwrap_or_default());
    let tagged = tagged.unwrap_or_else(|fault| unread.note("isolation groups", &fault).unwrap_or_default());
    for (vpc, group) in recorded {
        // Ours is what was recorded, is still there, and still carries our tag in its own account's VPC.
        if tagged.iter().any(|known| known.id == group && known.vpc == vpc && known.owner == finding.account.as_str()) {
            instance.isolation.insert(vpc, IsolationGroup { id: group, is_clean: None });
        }
    }
    if let Some(profile) = &mut instance.profile {
        let role = match role.filter(|_| claimed == Some(&profile.arn)) {
            Some(role) => role,
            None => role_of(&aws, &profile.arn).await,
        };
        profile.role = role.unwrap_or_else(|fault| unread.note("role of the instance profile", &fault));
    }
    instance.unread = unread.what;
    Ok(Seen { state: seen, passing: unread.passing })
}

/// The instance again, with the groups and denies that `plan` works by.
///
/// # Errors
/// When EC2 does not answer, or not with what it documents.
pub(crate) async fn look(access: &Access, finding: &Finding, target: &Target, plan: &Plan) -> Result<Seen<Found>, Retry> {
    let Target::Instance(accused) = target else { return Ok(Seen { state: Found::NotLooked, passing: false }) };
    let aws = Compute::new(access, &finding.region);
    let prepared = plan.steps().filter_map(|step| match step {
        Step::PrepareIsolationGroup(step) => Some(step),
        _ => None,
    });
    let prepared: Vec<&PrepareIsolationGroup> = prepared.collect();
    let denies = plan.steps().filter_map(|step| match step {
        Step::DenySession(step) => Some((step.role.clone(), policy::deny_session_name(&step.session))),
        _ => None,
    });
    let (seen, groups, denies) = tokio::join!(
        Box::pin(instance(&aws, &finding.region, &accused.id)),
        futures_util::future::join_all(prepared.iter().map(|step| step.is_clean(&aws))),
        futures_util::future::join_all(denies.map(|(role, name)| deny(&aws, role, name))),
    );
    let failed = |fault| Retry::before_any_change("reading", accused.id.to_string(), &fault);
    let (mut seen, mut unread) = seen.map_err(failed)?;
    let Found::Instance(instance) = &mut seen else { return Ok(Seen { state: seen, passing: unread.passing }) };
    for (step, is_clean) in prepared.iter().zip(groups) {
        let Some(id) = step.group.clone() else { continue };
        match is_clean {
            Ok(Some(is_clean)) => {
                instance.isolation.insert(step.vpc.clone(), IsolationGroup { id, is_clean: Some(is_clean) });
            }
            Ok(None) => {
                instance.gone.insert(id);
            }
            Err(fault) => {
                instance.isolation.insert(step.vpc.clone(), IsolationGroup { id, is_clean: None });
                unread.note::<()>("rules of the isolation group", &fault);
            }
        }
    }
    for (name, document) in denies {
        match document {
            Ok(document) => {
                instance.denies.insert(name, document);
            }
            Err(fault) => {
                unread.note::<()>(OWN_DENY, &fault);
            }
        }
    }
    if let Some(profile) = &mut instance.profile {
        profile.role =
            role_of(&aws, &profile.arn).await.unwrap_or_else(|fault| unread.note("role of the instance profile", &fault));
    }
    instance.unread = unread.what;
    Ok(Seen { state: seen, passing: unread.passing })
}

/// The instance with everything EC2 and the services around it say of it, side by side.
async fn instance(aws: &Compute, region: &Region, id: &InstanceId) -> Result<(Found, Unread), Fault> {
    let answers = Answers::default();
    let filter = |name: &str| Filter::builder().name(name).values(id.as_str()).build();
    let attribute =
        |name: InstanceAttributeName| aws.ec2.describe_instance_attribute().instance_id(id.as_str()).attribute(name).send();
    let (described, interfaces, addresses, termination, stop, shutdown, associations, place, balancers) = tokio::join!(
        aws.ec2
            .describe_instances()
            .instance_ids(id.as_str())
            .customize()
            .interceptor(answers.of("describe-instances.xml"))
            .send(),
        aws.ec2
            .describe_network_interfaces()
            .filters(filter("attachment.instance-id"))
            .customize()
            .interceptor(answers.of("describe-network-interfaces.xml"))
            .send(),
        aws.ec2.describe_addresses().filters(filter("instance-id")).send(),
        attribute(InstanceAttributeName::DisableApiTermination),
        attribute(InstanceAttributeName::DisableApiStop),
        attribute(InstanceAttributeName::InstanceInitiatedShutdownBehavior),
        aws.ec2.describe_iam_instance_profile_associations().filters(filter("instance-id")).send(),
        aws.autoscaling.describe_auto_scaling_instances().instance_ids(id.as_str()).send(),
        classic_balancers(aws, id),
    );
    let mut unread = Unread::default();
    let described = match described {
        Ok(output) => output,
        Err(error) if is_not_found(error.code()) => return Ok((Found::Absent, unread)),
        Err(error) => return Err(error.into()),
    };
    let reservation =
        described.reservations().iter().find(|one| one.instances().iter().any(|i| i.instance_id() == Some(id.as_str())));
    let Some(reservation) = reservation else { return Ok((Found::Absent, unread)) };
    let owner = reservation.owner_id().unwrap_or_default();
    let found = reservation.instances().iter().find(|one| one.instance_id() == Some(id.as_str()));
    let found = found.and_then(|found| describe::instance(found, owner, region));
    let mut instance = found.ok_or_else(|| incomplete("DescribeInstances"))?;
    match interfaces {
        Ok(output) => {
            // Both say which interfaces there are; the interfaces' own words say more of each.
            for interface in output.network_interfaces().iter().filter_map(describe::interface) {
                match instance.interfaces.iter_mut().find(|known| known.id == interface.id) {
                    Some(known) => *known = interface,
                    None => instance.interfaces.push(interface),
                }
            }
        }
        Err(error) => {
            unread.note::<()>("network interfaces", &error.into());
        }
    }
    match addresses {
        Ok(output) => add_addresses(&mut instance, output.addresses()),
        Err(error) => {
            unread.note::<()>("elastic addresses", &error.into());
        }
    }
    instance.protected_from_termination = termination.map_err(Fault::from).map_or_else(
        |fault| unread.note("termination protection", &fault),
        |output| output.disable_api_termination().and_then(aws_sdk_ec2::types::AttributeBooleanValue::value),
    );
    instance.protected_from_stop = stop.map_err(Fault::from).map_or_else(
        |fault| unread.note("stop protection", &fault),
        |output| output.disable_api_stop().and_then(aws_sdk_ec2::types::AttributeBooleanValue::value),
    );
    instance.on_shutdown = shutdown.map_err(Fault::from).map_or_else(
        |fault| unread.note("shutdown behaviour", &fault),
        |output| output.instance_initiated_shutdown_behavior().and_then(|value| value.value()).map(str::to_owned),
    );
    let association = associations.map_err(Fault::from).map_or_else(
        |fault| unread.note("instance profile association", &fault),
        |output| output.iam_instance_profile_associations().iter().find_map(|one| one.association_id().map(str::to_owned)),
    );
    if let Some(profile) = &mut instance.profile {
        profile.association = association;
    }
    instance.auto_scaling = place.map_err(Fault::from).map_or_else(
        |fault| unread.note("Auto Scaling", &fault),
        |output| {
            output.auto_scaling_instances().iter().find(|one| one.instance_id() == Some(id.as_str())).and_then(|one| {
                Some(AutoScalingMembership {
                    group: one.auto_scaling_group_name()?.to_owned(),
                    lifecycle: one.lifecycle_state()?.to_owned(),
                    is_protected: one.protected_from_scale_in().unwrap_or_default(),
                })
            })
        },
    );
    instance.classic_balancers =
        balancers.unwrap_or_else(|fault| unread.note("classic load balancers", &fault).unwrap_or_default());
    instance.raw = answers.take();
    Ok((Found::Instance(Box::new(instance)), unread))
}

fn is_not_found(code: Option<&str>) -> bool {
    matches!(code, Some("InvalidInstanceID.NotFound" | "InvalidInstanceID.Malformed"))
}

/// The elastic addresses that EC2 files under the instance, where its interfaces did not name them (CONTAINMENT B11).
fn add_addresses(instance: &mut ObservedInstance, addresses: &[aws_sdk_ec2::types::Address]) {
    for elastic in addresses {
        let of_interface = instance.interfaces.iter_mut().filter(|one| Some(one.id.as_str()) == elastic.network_interface_id());
        for address in of_interface.flat_map(|one| &mut one.addresses) {
            if Some(address.private_ip.as_str()) == elastic.private_ip_address() {
                address.public_ip = elastic.public_ip().map(str::to_owned);
                address.allocation = elastic.allocation_id().map(str::to_owned);
                address.association = elastic.association_id().map(str::to_owned);
            }
        }
    }
}

async fn classic_balancers(aws: &Compute, id: &InstanceId) -> Result<Vec<String>, Fault> {
    let pages = aws.classic_balancers.describe_load_balancers().into_paginator().items().send();
    let balancers = pages.collect::<Result<Vec<_>, _>>().await?;
    let holds = |one: &&aws_sdk_elasticloadbalancing::types::LoadBalancerDescription| {
        one.instances().iter().any(|instance| instance.instance_id() == Some(id.as_str()))
    };
    Ok(balancers.iter().filter(holds).filter_map(|one| one.load_balancer_name().map(str::to_owned)).collect())
}

/// A security group that carries the tag of an isolation group.
struct Tagged {
    id: GroupId,
    vpc: VpcId,
    owner: String,
}

async fn tagged_groups(aws: &Compute) -> Result<Vec<Tagged>, Fault> {
    let filter = Filter::builder().name("tag-key").values(ISOLATION_TAG).build();
    let pages = aws.ec2.describe_security_groups().filters(filter).into_paginator().items().send();
    let groups = pages.collect::<Result<Vec<_>, _>>().await?;
    let tagged = |group: &aws_sdk_ec2::types::SecurityGroup| {
        let vpc = VpcId::parse(group.vpc_id()?).ok()?;
        let is_ours = group.tags().iter().any(|tag| tag.key() == Some(ISOLATION_TAG) && tag.value() == Some(vpc.as_str()));
        let id = GroupId::parse(group.group_id()?).ok().filter(|_| is_ours)?;
        Some(Tagged { id, vpc, owner: group.owner_id()?.to_owned() })
    };
    Ok(groups.iter().filter_map(tagged).collect())
}

/// The role in an instance profile, whose name is the last part of the ARN (CONTAINMENT B13).
async fn role_of(aws: &Compute, profile: &Arn) -> Result<Option<ProfileRole>, Fault> {
    let name = profile.resource().rsplit('/').next().unwrap_or_default();
    let output = match aws.iam.get_instance_profile().instance_profile_name(name).send().await {
        Ok(output) => output,
        Err(error) if crate::aws::is_no_such_entity(&error) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // Another profile of the same name under another path is not the one on the instance.
    let found = output.instance_profile.filter(|found| found.arn() == profile.as_str());
    let found = found.ok_or_else(|| incomplete("GetInstanceProfile"))?;
    let Some(role) = found.roles().first() else { return Ok(None) };
    let parsed = || {
        Some(ProfileRole {
            name: PrincipalName::parse(role.role_name()).ok()?,
            unique_id: UniqueId::parse(role.role_id()).ok()?,
            arn: Arn::parse(role.arn()).ok()?,
        })
    };
    parsed().map(Some).ok_or_else(|| incomplete("GetInstanceProfile"))
}

/// The document under a deny's name on a role.
async fn deny(aws: &Compute, role: PrincipalName, name: String) -> (String, Result<Option<String>, Fault>) {
    let document = match aws.iam.get_role_policy().role_name(role.as_str()).policy_name(&name).send().await {
        Ok(output) => Ok(Some(policy::decode(output.policy_document()))),
        Err(error) if crate::aws::is_no_such_entity(&error) => Ok(None),
        Err(error) => Err(error.into()),
    };
    (name, document)
}
