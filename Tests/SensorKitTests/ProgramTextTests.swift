import Testing

@testable import SensorKit

@Suite struct ProgramTextTests {
    @Test func findsOnlyCodeFromFiles() {
        let maps = """
            55e8a000-55e9c000 r--p 00000000 08:01 1234   /usr/bin/x
            55e9c000-55eff000 r-xp 00012000 08:01 1234   /usr/bin/x y
            55f00000-55f10000 rw-p 00075000 08:01 1234   /usr/bin/x
            55f20000-55f21000 r-xp 00000000 00:00 0
            7fff1000-7fff3000 r-xp 00000000 00:00 0      [vdso]
            nonsense
            """
        let mappings = ProgramText.mappings(in: maps)
        #expect(mappings.count == 1)
        #expect(mappings.first?.start == 0x55e9_c000 && mappings.first?.size == 0x6_3000)
    }

    @Test func theProgramGoesOn() {
        ProgramText.release()
        #expect("a b".split(separator: " ").count == 2)
    }
}
