//! A server in this process, on its own database, with one method for each RPC.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rolecall::domain::Revision;
use rolecall::domain::commands::group::Commit;
use rolecall::grpc::app::App;
use rolecall::grpc::generated::api_key_service_client::ApiKeyServiceClient;
use rolecall::grpc::generated::audit_service_client::AuditServiceClient;
use rolecall::grpc::generated::check_service_client::CheckServiceClient;
use rolecall::grpc::generated::configuration_service_client::ConfigurationServiceClient;
use rolecall::grpc::generated::insights_service_client::InsightsServiceClient;
use rolecall::grpc::generated::invitation_service_client::InvitationServiceClient;
use rolecall::grpc::generated::membership_service_client::MembershipServiceClient;
use rolecall::grpc::generated::org_service_client::OrgServiceClient;
use rolecall::grpc::generated::permission_service_client::PermissionServiceClient;
use rolecall::grpc::generated::project_service_client::ProjectServiceClient;
use rolecall::grpc::generated::role_mapping_service_client::RoleMappingServiceClient;
use rolecall::grpc::generated::role_service_client::RoleServiceClient;
use rolecall::grpc::generated::server_service_client::ServerServiceClient;
use rolecall::grpc::generated::subscription_service_client::SubscriptionServiceClient;
use rolecall::grpc::generated::user_service_client::UserServiceClient;
use rolecall::grpc::generated::watch_service_client::WatchServiceClient;
use rolecall::limits::Limits;
use rolecall::server::{Config, Listen, OperatorConfig, Running, StartError};
use rolecall::store::StoreError;
use rolecall::wire;
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{IntoRequest, Response, Status, Streaming};

use crate::raw::Raw;
use crate::support;

/// How long a stopping server waits for calls in flight.
const DRAIN: Duration = Duration::from_secs(5);
/// How long a test waits until everything it deleted is purged.
const PURGE_WAIT_MAX: Duration = Duration::from_secs(30);

/// A running server and a client of it.
pub struct Server {
    pub channel: Channel,
    /// `HOST:PORT`.
    pub address: String,
    pub socket: PathBuf,
    pub running: Mutex<Option<Running>>,
    config: Config,
    folder: Arc<TempDir>,
}

/// Runs a test against a server on a new SQLite database, then on a new PostgreSQL one.
pub fn on_both(test: impl AsyncFn(&Server)) {
    on_both_with(Limits::default(), test);
}

/// Does the same for a server with these limits.
pub fn on_both_with(limits: Limits, test: impl AsyncFn(&Server)) {
    support::on_both(async |database| test(&Server::start(database.url.clone(), limits).await).await);
}

/// Connects over a unix socket.
pub async fn over_unix(socket: PathBuf) -> Channel {
    let connector = tower::service_fn(move |_: Uri| {
        let socket = socket.clone();
        async move { tokio::net::UnixStream::connect(socket).await.map(hyper_util::rt::TokioIo::new) }
    });
    Endpoint::from_static("http://localhost").connect_with_connector(connector).await.unwrap()
}

impl Server {
    pub async fn start(database: String, limits: Limits) -> Self {
        Self::start_for(database, limits, OperatorConfig::default()).await
    }

    /// Starts a server that lets operators in like this.
    pub async fn start_for(database: String, limits: Limits, operators: OperatorConfig) -> Self {
        Self::start_configured(database, |config| Config { limits, operators, ..config }).await
    }

    /// Starts a server with a changed configuration.
    pub async fn start_configured(database: String, change: impl FnOnce(Config) -> Config) -> Self {
        let folder = Arc::new(TempDir::new().unwrap());
        let socket = folder.path().join("rolecall.sock");
        let listen = vec![Listen::Tcp("127.0.0.1:0".into()), Listen::Unix(socket)];
        Self::run(change(Config { drain: DRAIN, ..Config::new(database, listen) }), folder).await
    }

    async fn run(config: Config, folder: Arc<TempDir>) -> Self {
        let began = Instant::now();
        let running = loop {
            match Running::start(config.clone()).await {
                // A program that another test starts has the files of this process, and so their locks, until it is executed.
                Err(StartError::Store(StoreError::InUse(_))) if began.elapsed() < DRAIN => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                started => break started.unwrap(),
            }
        };
        let [Listen::Tcp(address), Listen::Unix(socket)] = &running.addresses[..] else {
            panic!("listens on {:?}", running.addresses)
        };
        let (address, socket) = (address.clone(), socket.clone());
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        Self { channel, address, socket, running: Mutex::new(Some(running)), config, folder }
    }

    /// Stops this server and starts another one on the same database.
    pub async fn restarted(&self) -> Self {
        self.restarted_after("").await
    }

    /// Runs statements on the database between the stop and the start.
    pub async fn restarted_after(&self, sql: &str) -> Self {
        self.stop().await;
        if !sql.is_empty() {
            self.run_sql(sql).await;
        }
        Self::run(self.config.clone(), self.folder.clone()).await
    }

    /// Runs statements on the database while the server runs.
    pub async fn run_sql(&self, sql: &str) {
        let database = sea_orm::Database::connect(&self.config.database).await.unwrap();
        sea_orm::ConnectionTrait::execute_unprepared(&database, sql).await.unwrap();
        database.close().await.unwrap();
    }

    /// Counts the rows of a table.
    pub async fn count(&self, table: &str) -> i64 {
        let database = sea_orm::Database::connect(&self.config.database).await.unwrap();
        let sql = format!("SELECT count(*) FROM {table}");
        let count = sea_orm::Statement::from_string(database.get_database_backend(), sql);
        let row = sea_orm::ConnectionTrait::query_one_raw(&database, count).await.unwrap().unwrap();
        database.close().await.unwrap();
        row.try_get_by_index(0).unwrap()
    }

    /// Returns what the handlers work with. Drop it before the server stops, because it holds the lock of the database.
    pub fn app(&self) -> Arc<App> {
        self.running.lock().unwrap().as_ref().expect("the server runs").app.clone()
    }

    /// Returns the address of its metrics.
    pub fn metrics(&self) -> Listen {
        let running = self.running.lock().unwrap();
        let metrics = running.as_ref().and_then(|running| running.metrics.as_ref());
        metrics.expect("metrics are served").address.clone()
    }

    pub fn serves_metrics(&self) -> bool {
        self.running.lock().unwrap().as_ref().expect("the server runs").metrics.is_some()
    }

    pub async fn stop(&self) {
        let running = self.running.lock().unwrap().take();
        running.expect("a server is stopped once").stop().await;
    }

    /// Adds an operator, and returns the token of a LIVE key of the operator.
    pub async fn operator(&self, id: &str, role: &str) -> String {
        let request = wire::AddMemberRequest {
            project: "workspace".into(),
            org_id: "team".into(),
            user_id: id.into(),
            roles: vec![wire::RoleAssignment { role: role.into(), ..Default::default() }],
            ..Default::default()
        };
        self.add_member(request).await.unwrap();
        self.key(id, wire::Environment::Live, wire::ApiKeyScope::default()).await.1
    }

    /// Creates a key of an operator. Returns its id and its token.
    pub async fn key(
        &self,
        operator: &str,
        environment: wire::Environment,
        scope: wire::ApiKeyScope,
    ) -> (String, String) {
        let request = wire::CreateApiKeyRequest {
            display_name: "test".into(),
            operator: operator.into(),
            environment: environment.into(),
            scope: Some(scope),
            ..Default::default()
        };
        let created = self.create_api_key(request).await.unwrap();
        (created.api_key.unwrap().api_key_id, created.token)
    }

    /// Connects without the generated client.
    pub async fn raw(&self) -> Raw {
        Raw::connect(&self.address).await
    }

    /// Begins a watch.
    pub async fn watch(
        &self,
        request: impl IntoRequest<wire::WatchRequest>,
    ) -> Result<Streaming<wire::WatchResponse>, Status> {
        WatchServiceClient::new(self.channel.clone()).watch(request).await.map(Response::into_inner)
    }

    /// Connects over the unix socket.
    pub async fn unix_channel(&self) -> Channel {
        over_unix(self.socket.clone()).await
    }

    /// Returns the newest revision in the database.
    pub async fn head(&self) -> Revision {
        self.app().store.head().await.unwrap()
    }

    /// Returns the token of the newest revision in the database.
    pub async fn token(&self) -> String {
        rolecall::engine::Token::new(self.app().engine.store_id(), self.head().await).encode()
    }

    /// Returns the commits after a revision.
    pub async fn commits_since(&self, revision: Revision) -> Vec<Commit> {
        self.app().store.commits_since(revision, 1_000).await.unwrap()
    }

    /// Returns the commits of callers after a revision. The purger commits as `system`.
    pub async fn callers_commits_since(&self, revision: Revision) -> Vec<Commit> {
        let mut commits = self.commits_since(revision).await;
        commits.retain(|commit| &*commit.actor != "system");
        commits
    }

    /// Waits until everything deleted is purged, and returns the newest revision. From then on only the test writes.
    pub async fn settled(&self) -> Revision {
        let deadline = Instant::now() + PURGE_WAIT_MAX;
        while self.app().engine.pin().state.all_projects().any(|project| project.has_data_to_purge()) {
            assert!(Instant::now() < deadline, "deleted data was not purged in time");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.head().await
    }

    /// Runs calls that must store nothing.
    pub async fn storing_nothing<T>(&self, calls: impl Future<Output = T>) -> T {
        let before = self.settled().await;
        let done = calls.await;
        assert_eq!(self.head().await, before, "something was stored");
        done
    }
}

macro_rules! rpcs {
    ($($client:ident { $($method:ident($request:ident) -> $response:ident;)* })*) => {
        /// One method for each RPC.
        impl Server {$($(
            pub async fn $method(
                &self,
                request: impl IntoRequest<wire::$request>,
            ) -> Result<wire::$response, Status> {
                $client::new(self.channel.clone()).$method(request).await.map(Response::into_inner)
            }
        )*)*}
    };
}

rpcs! {
    ProjectServiceClient {
        create_project(CreateProjectRequest) -> CreateProjectResponse;
        get_project(GetProjectRequest) -> GetProjectResponse;
        list_projects(ListProjectsRequest) -> ListProjectsResponse;
        update_project(UpdateProjectRequest) -> UpdateProjectResponse;
        convert_role_structure(ConvertRoleStructureRequest) -> ConvertRoleStructureResponse;
        delete_project(DeleteProjectRequest) -> DeleteProjectResponse;
        list_templates(ListTemplatesRequest) -> ListTemplatesResponse;
    }
    PermissionServiceClient {
        create_permission(CreatePermissionRequest) -> CreatePermissionResponse;
        batch_create_permissions(BatchCreatePermissionsRequest) -> BatchCreatePermissionsResponse;
        get_permission(GetPermissionRequest) -> GetPermissionResponse;
        list_permissions(ListPermissionsRequest) -> ListPermissionsResponse;
        update_permission(UpdatePermissionRequest) -> UpdatePermissionResponse;
        delete_permission(DeletePermissionRequest) -> DeletePermissionResponse;
    }
    RoleServiceClient {
        create_role(CreateRoleRequest) -> CreateRoleResponse;
        batch_create_roles(BatchCreateRolesRequest) -> BatchCreateRolesResponse;
        get_role(GetRoleRequest) -> GetRoleResponse;
        list_roles(ListRolesRequest) -> ListRolesResponse;
        update_role(UpdateRoleRequest) -> UpdateRoleResponse;
        reorder_roles(ReorderRolesRequest) -> ReorderRolesResponse;
        delete_role(DeleteRoleRequest) -> DeleteRoleResponse;
    }
    RoleMappingServiceClient {
        create_role_mapping(CreateRoleMappingRequest) -> CreateRoleMappingResponse;
        get_role_mapping(GetRoleMappingRequest) -> GetRoleMappingResponse;
        list_role_mappings(ListRoleMappingsRequest) -> ListRoleMappingsResponse;
        list_role_mapping_roles(ListRoleMappingRolesRequest) -> ListRoleMappingRolesResponse;
        update_role_mapping(UpdateRoleMappingRequest) -> UpdateRoleMappingResponse;
        promote_role_mapping(PromoteRoleMappingRequest) -> PromoteRoleMappingResponse;
        delete_role_mapping(DeleteRoleMappingRequest) -> DeleteRoleMappingResponse;
        diff_role_mappings(DiffRoleMappingsRequest) -> DiffRoleMappingsResponse;
    }
    ConfigurationServiceClient {
        get_configuration(GetConfigurationRequest) -> GetConfigurationResponse;
        apply_configuration(ApplyConfigurationRequest) -> ApplyConfigurationResponse;
    }
    OrgServiceClient {
        create_org(CreateOrgRequest) -> CreateOrgResponse;
        get_org(GetOrgRequest) -> GetOrgResponse;
        list_orgs(ListOrgsRequest) -> ListOrgsResponse;
        update_org(UpdateOrgRequest) -> UpdateOrgResponse;
        delete_org(DeleteOrgRequest) -> DeleteOrgResponse;
        set_org_domains(SetOrgDomainsRequest) -> SetOrgDomainsResponse;
        verify_org_domain(VerifyOrgDomainRequest) -> VerifyOrgDomainResponse;
        list_joinable_orgs(ListJoinableOrgsRequest) -> ListJoinableOrgsResponse;
    }
    SubscriptionServiceClient {
        subscribe_org(SubscribeOrgRequest) -> SubscribeOrgResponse;
        get_subscription(GetSubscriptionRequest) -> GetSubscriptionResponse;
        batch_subscribe_orgs(BatchSubscribeOrgsRequest) -> BatchSubscribeOrgsResponse;
        list_subscriptions(ListSubscriptionsRequest) -> ListSubscriptionsResponse;
    }
    MembershipServiceClient {
        add_member(AddMemberRequest) -> AddMemberResponse;
        get_member(GetMemberRequest) -> GetMemberResponse;
        list_members(ListMembersRequest) -> ListMembersResponse;
        list_manageable_roles(ListManageableRolesRequest) -> ListManageableRolesResponse;
        list_user_memberships(ListUserMembershipsRequest) -> ListUserMembershipsResponse;
        set_member_roles(SetMemberRolesRequest) -> SetMemberRolesResponse;
        remove_member(RemoveMemberRequest) -> RemoveMemberResponse;
        batch_write_members(BatchWriteMembersRequest) -> BatchWriteMembersResponse;
        provision_member(ProvisionMemberRequest) -> ProvisionMemberResponse;
    }
    UserServiceClient {
        get_user(GetUserRequest) -> GetUserResponse;
        block_user(BlockUserRequest) -> BlockUserResponse;
        unblock_user(UnblockUserRequest) -> UnblockUserResponse;
        delete_user(DeleteUserRequest) -> DeleteUserResponse;
    }
    InvitationServiceClient {
        create_invitation(CreateInvitationRequest) -> CreateInvitationResponse;
        batch_create_invitations(BatchCreateInvitationsRequest) -> BatchCreateInvitationsResponse;
        get_invitation(GetInvitationRequest) -> GetInvitationResponse;
        list_invitations(ListInvitationsRequest) -> ListInvitationsResponse;
        revoke_invitation(RevokeInvitationRequest) -> RevokeInvitationResponse;
        accept_invitation(AcceptInvitationRequest) -> AcceptInvitationResponse;
    }
    AuditServiceClient {
        list_events(ListEventsRequest) -> ListEventsResponse;
        explain_change(ExplainChangeRequest) -> ExplainChangeResponse;
    }
    InsightsServiceClient {
        get_insights(GetInsightsRequest) -> GetInsightsResponse;
    }
    CheckServiceClient {
        check(CheckRequest) -> CheckResponse;
        explain(ExplainRequest) -> ExplainResponse;
        get_access(GetAccessRequest) -> GetAccessResponse;
        list_members_with_permission(ListMembersWithPermissionRequest) -> ListMembersWithPermissionResponse;
        list_orgs_with_permission(ListOrgsWithPermissionRequest) -> ListOrgsWithPermissionResponse;
        batch_check(BatchCheckRequest) -> BatchCheckResponse;
    }
    ApiKeyServiceClient {
        create_api_key(CreateApiKeyRequest) -> CreateApiKeyResponse;
        list_api_keys(ListApiKeysRequest) -> ListApiKeysResponse;
        archive_api_key(ArchiveApiKeyRequest) -> ArchiveApiKeyResponse;
    }
    ServerServiceClient {
        get_server_info(GetServerInfoRequest) -> GetServerInfoResponse;
        who_am_i(WhoAmIRequest) -> WhoAmIResponse;
    }
}
