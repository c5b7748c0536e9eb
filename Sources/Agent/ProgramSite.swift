import Logging

/// What a program that is placed here needs of the agent.
struct ProgramSite: Sendable {
    let configuration: AgentConfiguration
    let folders: AgentFolders
    let secrets: Secrets
    let journals: Journals
    let watches: Watches
    let link: Link
    let messages: AgentMessages
    let apps: AppStore
    let environments: PythonEnvironments
    let device: DevicePublisher
    let confinement: MachineConfinement
    let logger: Logger
    /// The waiting time after a preparation that failed: the first one, and the longest.
    var retryFirst = Duration.seconds(5)
    var retryCap = Duration.seconds(300)
}
