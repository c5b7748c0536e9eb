import Testing

@testable import HubModel

@Suite struct RequirementTests {
    @Test(arguments: [
        "numpy", "numpy==2.0.0", "requests[socks,security]>=2.31,<3", "a", "x.y_z-1~=1.0", "p==1.*", "p!=1+local",
    ])
    func packagesAreTaken(_ text: String) {
        #expect(Requirement.isValid(text))
    }

    @Test(arguments: [
        "", "--index-url=x", "-e .", "../x", "./x", "/x", "git+https://x", "a b", "a ==1", "a=1", "a==", "a==1,", "a[",
        "a[]", "a[x]1",
        "a; python_version<'3'", "a@http://x", "a\n-r x", "ü", String(repeating: "a", count: 129),
    ])
    func everythingElseIsNot(_ text: String) {
        #expect(!Requirement.isValid(text))
    }
}
