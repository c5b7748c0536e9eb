import HubModel
import Testing

@Suite struct TerminalFrameTests {
    private let frames: [TerminalFrame] = [
        .size(rows: 24, columns: 80), .keys([3]), .keys(Array(repeating: 0x61, count: TerminalFrame.maximumKeys)),
        .size(rows: 0, columns: 65_535), .keys(Array("à".utf8)),
    ]

    @Test func framesArriveAsTheyWereSent() throws {
        var decoder = TerminalFrame.Decoder()
        #expect(try decoder.take(frames.flatMap(\.bytes)) == frames)
    }

    @Test(arguments: [1, 2, 3, 7, 1_000])
    func framesArriveInPieces(length: Int) throws {
        let bytes = frames.flatMap(\.bytes)
        var decoder = TerminalFrame.Decoder()
        var arrived: [TerminalFrame] = []
        for start in stride(from: 0, to: bytes.count, by: length) {
            arrived += try decoder.take(bytes[start...].prefix(length))
        }
        #expect(arrived == frames)
    }

    @Test(arguments: [[0], [3, 0, 1, 0x61], [1, 0, 0], [1, 0x10, 0x01], [255, 255, 255]] as [[UInt8]])
    func whatIsNoFrameIsRefused(bytes: [UInt8]) {
        var decoder = TerminalFrame.Decoder()
        #expect(throws: ValidationError.self) { try decoder.take(bytes) }
        var later = TerminalFrame.Decoder()
        #expect(throws: ValidationError.self) { try later.take(TerminalFrame.keys([1]).bytes + bytes) }
    }
}
