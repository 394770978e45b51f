package rows

import (
	"encoding/binary"

	"github.com/cloudwego/kitex/pkg/generic/descriptor"
)

// zeroArguments are the bytes of an arguments struct that every reader takes: the argument is zero, and of
// a struct the required fields are.
func zeroArguments(f *descriptor.FunctionDescriptor) []byte {
	return zeroStruct(nil, f.Request.Struct, true, 0)
}

func zeroStruct(out []byte, s *descriptor.StructDescriptor, all bool, depth int) []byte {
	for id, field := range s.FieldsByID {
		if (all || field.Required) && depth < 32 {
			out = append(out, byte(field.Type.Type))
			out = binary.BigEndian.AppendUint16(out, uint16(id))
			out = zero(out, field.Type, depth+1)
		}
	}
	return append(out, 0)
}

func zero(out []byte, t *descriptor.TypeDescriptor, depth int) []byte {
	switch t.Type {
	case descriptor.BOOL, descriptor.BYTE:
		return append(out, 0)
	case descriptor.I16:
		return append(out, make([]byte, 2)...)
	case descriptor.I32, descriptor.STRING:
		return append(out, make([]byte, 4)...)
	case descriptor.I64, descriptor.DOUBLE:
		return append(out, make([]byte, 8)...)
	case descriptor.STRUCT:
		return zeroStruct(out, t.Struct, false, depth)
	case descriptor.LIST, descriptor.SET:
		return append(append(out, byte(t.Elem.Type)), make([]byte, 4)...)
	case descriptor.MAP:
		return append(append(out, byte(t.Key.Type), byte(t.Elem.Type)), make([]byte, 4)...)
	}
	return out
}
