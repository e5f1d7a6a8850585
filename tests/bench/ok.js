// The least that a Worker can do: what every other figure of `cargo xtask bench edge` stands beside.
export default { fetch: () => new Response('ok') }
