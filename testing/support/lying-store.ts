/** A real store that answers some questions otherwise than it should. */
import type { Store } from '../../src/store/store.ts';

export function lying(store: Store, lies: Partial<Store>): Store {
  return new Proxy(store, {
    get: (target, name) => {
      const member: unknown = Reflect.get(name in lies ? lies : target, name);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}
