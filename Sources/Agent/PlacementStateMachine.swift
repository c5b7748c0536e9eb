import HubModel

/// What becomes of the programs of a node when a new plan comes. Plans and ends go in, actions come out.
struct PlacementStateMachine {
    enum Action: Equatable {
        case start(PlannedProgram)
        /// What the broker knows of its password now.
        case tellCredential(ProgramID, String?)
        /// `ended` is to be called when it is gone.
        case end(ProgramID, reason: String)
        /// The plan names it, but not in a way that it could be run.
        case refuse(ProgramID, reason: String)
        /// It is to be kept, and not to run.
        case rest(ProgramID)
        /// It is none of this node's any more.
        case forget(ProgramID)
    }

    /// What the plan wants of a program.
    private enum Wish {
        case nothing
        case run(PlannedProgram)
        case rest
        case refusal(String)
    }

    private enum State {
        case placed(PlannedProgram.Work, generation: Int64)
        case resting
        /// Its successor has to wait until it is gone.
        case ending(then: Wish)
        case refused(String)
    }

    private var states: [ProgramID: State] = [:]

    mutating func follow(_ plan: Plan) -> [Action] {
        var wishes: [ProgramID: Wish] = [:]
        for planned in plan.programs { wishes[planned.program] = planned.isEnabled ? .run(planned) : .rest }
        for (program, reason) in plan.refused { wishes[program] = .refusal(reason) }
        return Set(states.keys).union(wishes.keys).sorted { "\($0)" < "\($1)" }
            .flatMap { change($0, to: wishes[$0] ?? .nothing) }
    }

    /// A program that `.end` was for is gone.
    mutating func ended(_ program: ProgramID) -> [Action] {
        guard case .ending(let wish)? = states.removeValue(forKey: program) else { return [] }
        return begin(program, wish)
    }

    private mutating func change(_ program: ProgramID, to wish: Wish) -> [Action] {
        switch (states[program], wish) {
        case (nil, _), (.refused, _), (.resting, _):
            return begin(program, wish)
        case (.ending, _):
            states[program] = .ending(then: wish)
            return []
        case (.placed(let work, let generation), .run(let planned))
        where planned.work == work && planned.generation == generation:
            return [.tellCredential(program, planned.credential)]
        case (.placed(let work, _), _):
            states[program] = .ending(then: wish)
            return [.end(program, reason: Self.reason(wish, work))]
        }
    }

    private static func reason(_ wish: Wish, _ work: PlannedProgram.Work) -> String {
        switch wish {
        case .nothing: "it is not to run on this node any more"
        case .run(let planned): planned.work == work ? "a new start was asked for" : "its plan has changed"
        case .rest: "it is disabled"
        case .refusal: "its plan is not valid"
        }
    }

    private mutating func begin(_ program: ProgramID, _ wish: Wish) -> [Action] {
        switch wish {
        case .nothing:
            states[program] = nil
            return [.forget(program)]
        case .run(let planned):
            states[program] = .placed(planned.work, generation: planned.generation)
            return [.start(planned)]
        case .rest:
            if case .resting? = states[program] { return [] }
            states[program] = .resting
            return [.rest(program)]
        case .refusal(let reason):
            if case .refused(reason)? = states[program] { return [] }
            states[program] = .refused(reason)
            return [.refuse(program, reason: reason)]
        }
    }
}
