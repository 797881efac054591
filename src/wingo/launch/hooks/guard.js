// Runs before a hook's script, in the same context; gives the function by which wingo calls the hook's.
//
// The engine brings the language alone: no `process`, no `require`, no `fetch`, no files, no sockets. What is done here
// makes a use of them an error that says so, instead of an `undefined` that a script might take for a feature test,
// and closes the ways from text to code, so that what a hook does stands in its file.
(() => {
  "use strict";
  const { parse, stringify } = JSON;
  const { defineProperty, freeze, getPrototypeOf, setPrototypeOf, getOwnPropertyNames } = Object;
  const isFunction = (value) => typeof value === "function";

  class HookRefused extends Error {
    get name() {
      return "HookRefused";
    }
  }
  const refuse = (what) => {
    throw new HookRefused(`a hook has no ${what}`);
  };

  // From text to code: eval, and the constructors of the four kinds of function, which any function leads to.
  const closed = (what) => {
    const close = function () {
      refuse(what);
    };
    return freeze(close);
  };
  for (const kind of [function () {}, function* () {}, async function () {}, async function* () {}]) {
    defineProperty(getPrototypeOf(kind), "constructor", { value: closed("way to make code of text"), writable: false, configurable: false });
  }
  for (const name of ["eval", "Function"]) {
    defineProperty(globalThis, name, { value: closed("way to make code of text"), writable: false, configurable: false });
  }

  // What would let it measure or wait, or act after it has answered.
  for (const name of ["performance", "queueMicrotask", "SharedArrayBuffer", "Atomics", "WeakRef", "FinalizationRegistry"]) {
    delete globalThis[name];
  }

  // The same answer for the same question: no clock, no chance.
  const RealDate = Date;
  RealDate.now = () => refuse("clock");
  const FixedDate = new Proxy(RealDate, {
    construct: (target, args, into) => (args.length ? Reflect.construct(target, args, into) : refuse("clock")),
    apply: () => refuse("clock"),
  });
  defineProperty(RealDate.prototype, "constructor", { value: FixedDate, writable: false, configurable: false });
  defineProperty(globalThis, "Date", { value: FixedDate, writable: false, configurable: false });
  defineProperty(Math, "random", { value: () => refuse("random numbers"), writable: false, configurable: false });

  // The global object keeps its prototype, which is the proxy below.
  const keepsItsOwn = (target) => (target === globalThis ? refuse("other global object") : target);
  const { setPrototypeOf: reflectSet } = Reflect;
  const inherited = Reflect.getOwnPropertyDescriptor(Object.prototype, "__proto__");
  Object.setPrototypeOf = (target, prototype) => setPrototypeOf(keepsItsOwn(target), prototype);
  Reflect.setPrototypeOf = (target, prototype) => reflectSet(keepsItsOwn(target), prototype);
  defineProperty(Object.prototype, "__proto__", {
    ...inherited,
    set(prototype) {
      Reflect.apply(inherited.set, keepsItsOwn(this), [prototype]);
    },
  });

  // The language's own objects stay as they are.
  const seen = new Set();
  const keep = (value) => {
    if ((typeof value !== "object" && !isFunction(value)) || value === null || value === globalThis || seen.has(value)) return;
    seen.add(value);
    freeze(value);
    for (const name of Reflect.ownKeys(value)) {
      const found = Reflect.getOwnPropertyDescriptor(value, name);
      keep(found.value);
      keep(found.get);
      keep(found.set);
    }
    keep(getPrototypeOf(value));
  };
  for (const name of getOwnPropertyNames(globalThis)) {
    const found = Reflect.getOwnPropertyDescriptor(globalThis, name);
    keep(found.value);
    defineProperty(globalThis, name, { ...found, writable: false, configurable: false });
  }
  for (const kind of [function () {}, function* () {}, async function () {}, async function* () {}]) keep(getPrototypeOf(kind));
  keep(getPrototypeOf(getPrototypeOf([][Symbol.iterator]())));

  // Whatever the language does not have is looked for here, and refused.
  const nothing = freeze({ __proto__: null });
  const word = (key) => (typeof key === "symbol" ? "such property" : key);
  setPrototypeOf(
    globalThis,
    new Proxy(nothing, {
      get: (_, key) => (typeof key === "symbol" ? undefined : refuse(word(key))),
      has: (_, key) => (typeof key === "symbol" ? false : refuse(word(key))),
      set: (_, key) => refuse(`variable ${word(key)}: declare it with let or const`),
      defineProperty: (_, key) => refuse(word(key)),
      getPrototypeOf: () => null,
      setPrototypeOf: () => false,
    }),
  );

  // The hook's functions, as its script has declared them.
  return (name, declared, text) => {
    if (!isFunction(declared)) return "";
    const answer = declared(parse(text));
    if (answer !== null && typeof answer === "object" && isFunction(answer.then)) {
      throw new HookRefused(`${name} must answer at once: a hook has no promises to wait for`);
    }
    const written = stringify(answer === undefined ? null : answer);
    if (typeof written !== "string") throw new HookRefused(`${name} answered with what is no JSON`);
    return written;
  };
})();
