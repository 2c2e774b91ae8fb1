/** An object that does some things in another way, and passes all else on to `real`. */
export function bound<T extends object>(real: T, other: Partial<T>): T {
  return new Proxy(real, {
    get: (target, name) => {
      if (name in other) return Reflect.get(other, name);
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
