// A program that the linker can drop little of.
package main

import (
	"os"
	"reflect"
	"time"
)

func main() {
	reflect.ValueOf(time.Now()).MethodByName(os.Args[1]).Call(nil)
}
