"""What notebooks show of views, arrays, items, loaders and data sets: HTML without scripts.

`ndlens._face` imports a module of this package when a notebook asks for it. Each has a function
`html(obj)`. No face reads an element, so that a face of a mapped file costs no disk. Work and
output are bounded for any object. Text from files is escaped.

| module | contents |
|---|---|
| `words` | text that is safe in HTML; numbers and bytes as people read them |
| `style` | colours and sizes, for light and dark notebooks |
| `page` | cards, tables and badges |
| `ranges` | which bytes a view touches, as intervals |
| `strips` | those bytes as a drawing |
| `fields` | the fields of loaders, epochs and data sets as a table |
| `view`, `arrays`, .. | one for each kind of object |
"""
