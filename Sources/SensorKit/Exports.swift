// A driver's file begins with `import SensorKit` and needs nothing else: sensor types, control calls, JSON values and
// files come with it.
@_exported public import Files
@_exported public import HubModel
@_exported public import SimdJSON
