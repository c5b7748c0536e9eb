public import Glibc

/// Starts a thread that runs `body`; to be joined.
public func startThread(_ body: @escaping @Sendable () -> Void) -> pthread_t {
    final class Start {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var thread = pthread_t()
    let context = Unmanaged.passRetained(Start(body)).toOpaque()
    let code = pthread_create(
        &thread, nil,
        { context in
            Unmanaged<Start>.fromOpaque(context!).takeRetainedValue().body()
            return nil
        }, context)
    precondition(code == 0, "no thread can be started: \(String(cString: strerror(code)))")
    return thread
}
