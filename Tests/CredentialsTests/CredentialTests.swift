import Credentials
import Testing

@Suite struct CredentialTests {
    @Test func aPasswordMatchesItsHashOnly() {
        let password = Credential.makePassword()
        let hash = Credential.hash(password)
        #expect(password.count == 32)
        #expect(Credential.isHash(hash))
        #expect(Credential.matches(password, hash))
        #expect(!Credential.matches(password + "x", hash))
        #expect(Credential.hash(password) != hash)
    }

    /// Made by mosquitto_passwd 2.0.11 from the password "secret".
    @Test func mosquittosOwnHashIsUnderstood() {
        let hash =
            "$7$101$TuttQw9UGqYzeCBs$vR1c6eEAxMLipyvXr1GW0FO0SwOtUV8lWA7kkeG1HXGDNOCBbabpgDEIpD/pOAClSQuDe1G+z3IykIPdm3Obgg=="
        #expect(Credential.matches("secret", hash))
        #expect(!Credential.matches("Secret", hash))
    }

    @Test(arguments: ["", "$7$101$$", "$6$101$YWJj$YWJj", "$7$0$YWJj$YWJj", "$7$101$YWJj$not base64", "a:b\nc"])
    func whatIsNoHashIsRefused(_ text: String) {
        #expect(!Credential.isHash(text))
        #expect(!Credential.matches("", text))
    }

    @Test func digests() {
        #expect(sha256(Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }
}
