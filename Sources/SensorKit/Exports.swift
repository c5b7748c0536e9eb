// A driver's file begins with `import SensorKit` and needs nothing else: sensor types, control calls and JSON values
// come with it.
@_exported public import HubModel
@_exported public import SimdJSON
