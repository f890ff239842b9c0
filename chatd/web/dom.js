// Elements, made and changed. Text is only ever text: there is no way from here to markup.

export const at = (id) => document.getElementById(id);

/** An element with a class and children, which are elements or text. */
export function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Sets a text where it is another: a live region speaks at each change. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function show(node, isShown) {
  if (node.hidden === isShown) node.hidden = !isShown;
}

/** Gives a parent these children in this order, touching only what changes. */
export function arrange(parent, children) {
  const wanted = new Set(children);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  children.forEach((child, index) => {
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
}

/** A list whose items are made once by key and changed with what they show. */
export class Items {
  constructor(list, make) {
    this.list = list;
    this.make = make;
    this.known = new Map();
  }

  /** `items` are { key, ... }; one that is as before is left alone. */
  set(items) {
    const known = new Map();
    for (const item of items) {
      const shown = JSON.stringify(item);
      const before = this.known.get(item.key);
      const isSame = before?.shown === shown;
      known.set(item.key, isSame ? before : { shown, node: this.make(item, before?.node) });
    }
    this.known = known;
    arrange(this.list, [...known.values()].map(({ node }) => node));
  }
}
