import CMosquitto
import Glibc

/// A failure to talk to the broker.
public struct MQTTError: Error, Hashable, CustomStringConvertible {
    public enum Code: Sendable, Hashable {
        /// The broker cannot be reached or went away.
        case noConnection
        /// The broker knows the user or the password not, or refuses what was asked.
        case notAuthorized
        /// No answer in time.
        case timeout
        /// A topic, filter or payload is not allowed in MQTT.
        case invalid
        case other
    }

    public let code: Code
    public let reason: String

    public init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    public var description: String { reason }

    /// From a return code of libmosquitto (`MOSQ_ERR_…`).
    init(returnCode: Int32) {
        code =
            switch returnCode {
            case MOSQ_ERR_NO_CONN.rawValueInt32, MOSQ_ERR_CONN_LOST.rawValueInt32, MOSQ_ERR_ERRNO.rawValueInt32:
                .noConnection
            case MOSQ_ERR_AUTH.rawValueInt32, MOSQ_ERR_ACL_DENIED.rawValueInt32: .notAuthorized
            case MOSQ_ERR_INVAL.rawValueInt32, MOSQ_ERR_MALFORMED_UTF8.rawValueInt32,
                MOSQ_ERR_PAYLOAD_SIZE.rawValueInt32:
                .invalid
            default: .other
            }
        reason =
            returnCode == MOSQ_ERR_ERRNO.rawValueInt32
            ? String(cString: strerror(errno)) : String(cString: mosquitto_strerror(returnCode))
    }

    /// From a reason code of MQTT 5 in a CONNACK, PUBACK or DISCONNECT.
    init(reasonCode: Int32) {
        code =
            switch UInt32(bitPattern: reasonCode) {
            case MQTT_RC_NOT_AUTHORIZED.rawValue, MQTT_RC_BAD_USERNAME_OR_PASSWORD.rawValue: .notAuthorized
            default: .other
            }
        reason = String(cString: mosquitto_reason_string(reasonCode))
    }
}

extension mosq_err_t {
    var rawValueInt32: Int32 { Int32(rawValue) }
}
