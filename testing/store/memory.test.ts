/** The memory store holds the contract. */
import { createMemoryStore } from '../../src/store/memory.ts';
import { storeContract } from './contract.ts';

storeContract({ name: 'memory', open: async () => createMemoryStore(), histories: 100 });
